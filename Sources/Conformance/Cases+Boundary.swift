import CLinux
import Files
import Glibc
import Host
import PluginAPI
import PluginKit
import Synchronization
import Threads

extension Case {
    /// How the plugin behaves at the contract's edges.
    static let boundary: [Case] = [
        boundaryCase("silent", "loading writes nothing to standard output") { subject in
            let plugin = try subject.initialized()
            _ = plugin.describe(0)
            fflush(nil)  // The checker looks at what arrived.
        },
        boundaryCase("state", "loading leaves directory, signals, locale, rounding and descriptors alone") { subject in
            // What the dynamic linker itself sets up must not count.
            _ = try Library(path: try subject.libraryPath(), plugin: try subject.manifest().id)
            let before = try ProcessState.now()
            _ = try subject.initialized().describe(0)
            if let change = before.difference(from: try ProcessState.now()) { throw Breach("it changed \(change)") }
        },
        boundaryCase("interface", "an unknown interface is answered with NULL") { subject in
            let plugin = try subject.initialized()
            let answer = "martlet.conformance.unknown/1".lent { plugin.interface?(plugin.ctx, $0) ?? nil }
            if answer != nil { throw Breach("interface(\"martlet.conformance.unknown/1\") is not NULL") }
        },
        boundaryCase("older-host", "a host without services is borne or refused with a message") { subject in
            var host = Services.quiet.handle.pointee
            host.service = { _, _ in nil }
            try reload(subject, host)
        },
        boundaryCase("newer-host", "a host of a later minor, with a longer table, is as good") { subject in
            var host = Services.quiet.handle.pointee
            host.abi_minor = 40
            host.struct_size += 64
            try reload(subject, host, mayRefuse: false)
        },
        boundaryCase("out-of-range", "a component beyond the last is refused") { subject in
            let plugin = try subject.initialized()
            let count = plugin.component_count(plugin.ctx)
            for index in [count, count + 1, -1] where plugin.describe(index).status == MT_OK {
                throw Breach("component \(UInt(bitPattern: index)) of \(count) was described")
            }
        },
        boundaryCase("error-message", "a failure comes with a message") { subject in
            let plugin = try subject.initialized()
            let outcome = plugin.describe(plugin.component_count(plugin.ctx))
            if outcome.status == MT_OK { throw Skip(reason: "nothing failed") }
            if outcome.message.isEmpty {
                throw Breach("component past the end failed with status \(outcome.status) and no message")
            }
        },
        boundaryCase("short-struct", "a caller's shorter struct is not written past its end") { subject in
            let plugin = try subject.initialized()
            guard plugin.component_count(plugin.ctx) > 0 else { throw Skip(reason: "it has no components") }
            for size in [0, 4, 8, 24, 56] {
                let outcome = plugin.describe(0, size: size)
                if outcome.tail.contains(where: { $0 != 0xAA }) {
                    throw Breach("component wrote past the \(size) bytes that struct_size allows")
                }
            }
        },
        boundaryCase("stable", "descriptions and tables stay the same") { subject in
            let plugin = try subject.initialized()
            let count = plugin.component_count(plugin.ctx)
            for index in 0..<count {
                let first = plugin.describe(index).raw
                let second = plugin.describe(index).raw
                guard first.table == second.table, first.ctx == second.ctx, first.id.string == second.id.string,
                    plugin.component_count(plugin.ctx) == count
                else { throw Breach("component \(index) differs from one call to the next") }
            }
        },
        boundaryCase("concurrent", "functions tagged [any] may be called by many threads") { subject in
            let plugin = try subject.initialized()
            let count = plugin.component_count(plugin.ctx)
            guard count > 0 else { throw Skip(reason: "it has no components") }
            let wanted = (0..<count).map { plugin.describe($0).raw.id.string }
            let wrong = Atomic<Int>(0)
            let arrived = Atomic<Int>(0)
            nonisolated(unsafe) let shared = plugin
            ThreadPool(count: 4).parallel(4) { _, _ in
                // All start together; otherwise the first may be through before the others are awake.
                arrived.add(1, ordering: .relaxed)
                var patience = 1_000_000
                while arrived.load(ordering: .relaxed) < 4, patience > 0 {
                    sched_yield()
                    patience -= 1
                }
                for call in 0..<2000 {
                    let outcome = shared.describe(call % count)
                    if outcome.status != MT_OK || outcome.raw.id.string != wanted[call % count] {
                        wrong.add(1, ordering: .relaxed)
                    }
                }
            }
            let failures = wrong.load(ordering: .relaxed)
            if failures > 0 { throw Breach("\(failures) of 8000 calls from 4 threads gave another answer") }
        },
        boundaryCase("leaks", "asking again does not take memory each time") { subject in
            let plugin = try subject.initialized()
            guard plugin.component_count(plugin.ctx) > 0 else { throw Skip(reason: "it has no components") }
            func ask(_ times: Int) { for _ in 0..<times { _ = plugin.describe(0) } }
            ask(200)
            let before = martlet_heap_in_use()
            ask(4000)
            let after = martlet_heap_in_use()
            if after > before + 32_000 {
                throw Breach("4000 calls of component took \(after - before) bytes and kept them")
            }
        },
        boundaryCase("deinit", "deinit returns, and init may follow it") { subject in
            let plugin = try subject.initialized()
            guard let end = plugin.`deinit` else { throw Skip(reason: "it has no deinit") }
            end(plugin.ctx)
            try LoadedPlugin.initialize(plugin, Services.quiet.handle, try subject.manifest().id)
            end(plugin.ctx)
        },
    ]

    private static func boundaryCase(
        _ name: String, _ claim: String, _ run: @escaping @Sendable (Subject) throws -> Void
    ) -> Case {
        Case(name: name, claim: claim, needs: ["components"], run: run)
    }

    /// Loads with a host of another shape. The table lives as long as the process, as the contract promises.
    private static func reload(_ subject: Subject, _ host: mt_host, mayRefuse: Bool = true) throws {
        // The real block is larger than mt_host, and so is this one.
        let block = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 16)
        block.initializeMemory(as: UInt8.self, repeating: 0, count: 256)
        block.copyMemory(from: UnsafeRawPointer(Services.quiet.handle), byteCount: MemoryLayout<mt_host>.size + 8)
        withUnsafeBytes(of: host) {
            block.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(block), byteCount: $0.count)
        }
        let pointer = UnsafePointer(block.assumingMemoryBound(to: mt_host.self))
        let manifest = try subject.manifest()
        do {
            let library = try Library(path: try subject.libraryPath(), plugin: manifest.id)
            let plugin = try LoadedPlugin.checked(
                try library.descriptor(host: pointer, plugin: manifest.id), manifest, .current)
            try LoadedPlugin.initialize(plugin, pointer, manifest.id)
            _ = plugin.describe(0)
        } catch let error as HostError {
            if !mayRefuse || error.message.contains("no message") { throw error }
        }
    }
}

/// What a plugin must leave as it found it.
private struct ProcessState {
    let parts: [(name: String, value: String)]

    static func now() throws -> ProcessState {
        var parts: [(String, String)] = []
        var buffer = [CChar](repeating: 0, count: 4096)
        parts.append(("the working directory", getcwd(&buffer, buffer.count).map { String(cString: $0) } ?? ""))
        for signal in [SIGINT, SIGTERM, SIGSEGV, SIGPIPE, SIGCHLD, SIGFPE] {
            var action = sigaction()
            sigaction(signal, nil, &action)
            parts.append(
                (
                    "the handler of signal \(signal)",
                    "\(unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self))"
                ))
        }
        parts.append(("the locale", setlocale(LC_ALL, nil).map { String(cString: $0) } ?? ""))
        parts.append(("the rounding mode", "\(martlet_rounding_mode())"))
        let mask = umask(0)
        umask(mask)
        parts.append(("the file mode mask", "\(mask)"))
        parts.append(("the open descriptors", "\(try System.list("/proc/self/fd").count)"))
        return ProcessState(parts: parts)
    }

    func difference(from other: ProcessState) -> String? {
        for (mine, theirs) in zip(parts, other.parts) where mine.value != theirs.value {
            return "\(mine.name) (was \(mine.value), is \(theirs.value))"
        }
        return nil
    }
}
