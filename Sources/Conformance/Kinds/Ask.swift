import Files
import Glibc
import Host
import JSON
import PluginAPI
import PluginKit

extension Case {
    /// What each kind promises, on input of any sort and on input that a run would give it.
    static let kinds: [Case] =
        [tables, model, modelGraph, tuner, optimizer, alignment, device, dataset, checkpoint, tokenizer]
        + [tokenizerRoundTrip, logger, hub, quantizer, row]

    /// A case that asks every component of `kind`.
    static func kindCase(
        _ name: String, _ kinds: String..., claim: String, run: @escaping @Sendable (Component, Subject) throws -> Void
    ) -> Case {
        Case(name: "kind-\(name)", claim: claim, needs: ["tables"]) { subject in
            let all = try LoadedPlugin.enumerate(try subject.initialized(), try subject.manifest())
            let found = all.filter { kinds.contains($0.kind) }
            if found.isEmpty { throw Skip(reason: "offers no \(kinds.joined(separator: " or "))") }
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

    /// Runs `body` with the path of a new directory that is empty, and takes it away.
    static func inDirectory(_ body: (String) throws -> Void) throws {
        let directory = "\(FileSystem.environment("TMPDIR") ?? "/tmp")/martlet-suite-\(getpid())"
        try System.makeDirectories(directory)
        defer {
            for name in (try? System.list(directory)) ?? [] { System.remove("\(directory)/\(name)") }
            rmdir(directory)
        }
        try body(directory)
    }

    static func write(_ bytes: [UInt8], to path: String) throws { try ReplacementFile.write(bytes, to: path) }
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
