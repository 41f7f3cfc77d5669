import CLinux
import Files
import Glibc
import Host
import JSON
import PluginAPI
import PluginKit
import Synchronization
import Threads

extension Case {
    /// What each kind promises, on input of any sort and on input that a run would give it.
    static let kinds: [Case] =
        [tables, model, modelGraph, tuner, optimizer, alignment, device, dataset, checkpoint, tokenizer]
        + [tokenizerRoundTrip, logger, hub, quantizer, row, engine, op]

    /// A case that asks every component of `kind`.
    static func kindCase(
        _ name: String, _ kinds: String..., claim: String, run: @escaping @Sendable (Component, Subject) throws -> Void
    ) -> Case {
        Case(name: "kind-\(name)", claim: claim, needs: ["tables"]) { subject in
            let all = try LoadedPlugin.enumerate(try subject.initialized(), try subject.manifest())
            let found = all.filter { kinds.contains($0.kind) }
            if found.isEmpty { throw Skip(reason: Outcome.otherKind + kinds.joined(separator: " or ")) }
            for component in found { try run(component, subject) }
        }
    }
}

/// Questions whose answer may be a refusal, as long as it is a proper one.
enum Ask {
    /// JSON of any sort, for whatever reads some.
    static let hostileTexts = [
        "", "{}", "[]", "null", "{\"architectures\": 3}", "{\"architectures\": []}", "not JSON", "{\"a\":",
        "{\"hidden_size\": -1, \"num_hidden_layers\": 1e308}", String(repeating: "[", count: 10_000),
    ]

    /// Success, or a failure with a message; true on success.
    @discardableResult
    static func accepts(_ what: String, _ call: (UnsafeMutablePointer<mt_error>) throws -> mt_status) throws -> Bool {
        var error = mt_error()
        error.struct_size = UInt32(MemoryLayout<mt_error>.size)
        let status = try call(&error)
        if status != MT_OK, withUnsafeBytes(of: error.message, { $0.first == 0 }) {
            throw Breach("\(what) failed with status \(status) and no message")
        }
        return status == MT_OK
    }

    /// Success.
    static func demand(_ what: String, _ call: (UnsafeMutablePointer<mt_error>) throws -> mt_status) throws {
        var failure: PluginError?
        _ = try accepts(what) { error in
            let status = try call(error)
            if status != MT_OK { failure = error.pointee.failure(status) }
            return status
        }
        if let failure { throw Breach("\(what) failed: \(failure)") }
    }

    /// A failure with a message.
    static func refusal(_ what: String, _ call: (UnsafeMutablePointer<mt_error>) throws -> mt_status) throws {
        if try accepts(what, call) { throw Breach("\(what) succeeded") }
    }

    /// Either an answer that is JSON, or nil for a failure with a message.
    @discardableResult
    static func json(
        _ what: String, _ call: (mt_sink, UnsafeMutablePointer<mt_error>) throws -> mt_status
    ) throws -> JSON? {
        var isAnswered = false
        let answer = try collected { sink in isAnswered = try accepts(what) { try call(sink, $0) } }
        guard isAnswered else { return nil }
        do {
            return try JSON(parsing: answer)
        } catch {
            throw Breach("\(what) answered with what is no JSON: \(error)")
        }
    }

    static func score(_ what: String, _ score: Int32) throws {
        if !(0...100 ~= score) { throw Breach("\(what) is \(score), wanted 0 to 100") }
    }

    /// Runs `body` with the path of a new directory that is empty; the checker takes it away with its own.
    static func inDirectory(_ body: (String) throws -> Void) throws {
        let directory = "\(FileSystem.environment("TMPDIR") ?? "/tmp")/martlet-suite-\(getpid())"
        try System.makeDirectories(directory)
        defer { try? ReplacementDirectory.remove(directory) }
        try body(directory)
    }

    /// Writes a file anew. It need not outlive a loss of power, so nothing is flushed.
    static func write(_ bytes: [UInt8], to path: String) throws {
        let file = try ReplacementFile(path)
        try file.write(bytes, at: 0)
        try file.place()
    }

    /// What a call wrote, or nil for a failure with a message.
    static func bytes(
        _ what: String, _ call: (mt_sink, UnsafeMutablePointer<mt_error>) throws -> mt_status
    ) throws -> [UInt8]? {
        var isAnswered = false
        let answer = try collected { sink in isAnswered = try accepts(what) { try call(sink, $0) } }
        return isAnswered ? answer : nil
    }

    /// A function tagged [any] gives four threads at once what it gives one alone.
    static func together<Answer: Equatable>(_ what: String, times: Int = 50, _ ask: () throws -> Answer) throws {
        let alone = try ask()
        let arrived = Atomic<Int>(0)
        let wrong = Atomic<Int>(0)
        ThreadPool(count: 4).parallel(4) { _, _ in
            // All start together; otherwise the first may be through before the others are awake.
            arrived.add(1, ordering: .relaxed)
            var patience = 1_000_000
            while arrived.load(ordering: .relaxed) < 4, patience > 0 {
                sched_yield()
                patience -= 1
            }
            for _ in 0..<times {
                do {
                    if try ask() != alone { wrong.add(1, ordering: .relaxed) }
                } catch {
                    wrong.add(1, ordering: .relaxed)
                }
            }
        }
        let failures = wrong.load(ordering: .relaxed)
        if failures > 0 {
            throw Breach("\(what): \(failures) of \(4 * times) calls from 4 threads at once gave another answer")
        }
    }

    /// What is opened and closed again gives its memory back.
    static func balance(_ what: String, times: Int = 200, _ body: () throws -> Void) throws {
        for _ in 0..<20 { try body() }
        let before = martlet_heap_in_use()
        for _ in 0..<times { try body() }
        let after = martlet_heap_in_use()
        if after > before + 32_000 {
            throw Breach("\(what), \(times) times, took \(after - before) bytes and kept them")
        }
    }
}

/// Text and bytes that cannot be read after the call. Their pages are kept, so that none that come later stand there.
enum Borrowed {
    static func lend<Result>(_ text: String, _ body: (mt_str) throws -> Result) throws -> Result {
        try lend(Array(text.utf8)) { bytes in
            try body(mt_str(data: bytes.data?.assumingMemoryBound(to: CChar.self), size: bytes.size))
        }
    }

    static func lend<Result>(_ bytes: [UInt8], _ body: (mt_bytes) throws -> Result) throws -> Result {
        let size = max(bytes.count, 1)
        guard let page = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), page != MAP_FAILED
        else {
            throw Breach("no memory for the input")
        }
        defer { mprotect(page, size, PROT_NONE) }
        bytes.withUnsafeBytes {
            page.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(page), byteCount: bytes.count)
        }
        return try body(mt_bytes(data: UnsafeRawPointer(page), size: bytes.count))
    }
}
