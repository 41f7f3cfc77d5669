import Files
import Glibc
import Host
import JSON
import PluginAPI
import PluginKit

extension Case {
    /// What each kind promises on input of any sort. Inputs cannot be read after the call: who kept one crashes here.
    static let kinds: [Case] = [
        Case(name: "tables", claim: "each table is whole: every function of its kind but the optional ones", needs: ["components"]) {
            subject in
            for component in try LoadedPlugin.enumerate(try subject.initialized(), try subject.manifest()) {
                guard let shape = TableShape.known[component.kind] else { continue }
                if let fault = shape.fault(component) { throw Breach("\(component.kind) \(component.id): \(fault)") }
            }
        },
        kindCase("model", MT_KIND_MODEL, "a config of any sort is scored and described, or refused") { component in
            let table = component.table(mt_model_table())
            for text in hostileTexts {
                let score = try Borrowed.lend(text) { table.probe(component.context, $0) }
                if !(0...100 ~= score) { throw Breach("probe of \(text.prefix(40)) is \(score), wanted 0 to 100") }
                try expectAnswer("describe of \(text.prefix(40))") { sink, error in
                    try Borrowed.lend(text) { table.describe(component.context, $0, sink, error) }
                }
            }
        },
        kindCase("dataset", MT_KIND_DATASET, "a file that is not there is refused") { component in
            let table = component.table(mt_dataset_table())
            let score = try Borrowed.lend("/nonexistent/rows") { table.probe(component.context, $0, mt_bytes()) }
            if !(0...100 ~= score) { throw Breach("probe of a missing file is \(score), wanted 0 to 100") }
            var rows: OpaquePointer?
            try expectRefusal("open of a missing file") { error in
                try Borrowed.lend("/nonexistent/rows") { path in
                    try Borrowed.lend("{}") { table.open(component.context, path, $0, &rows, error) }
                }
            }
        },
        kindCase("checkpoint", MT_KIND_CHECKPOINT, "a file that is not there is refused") { component in
            let table = component.table(mt_checkpoint_table())
            let score = try Borrowed.lend("/nonexistent/model") { table.probe(component.context, $0) }
            if score != 0 { throw Breach("probe of a missing file is \(score), wanted 0") }
            var checkpoint: OpaquePointer?
            try expectRefusal("open of a missing file") { error in
                try Borrowed.lend("/nonexistent/model") { table.open(component.context, $0, &checkpoint, error) }
            }
        },
        kindCase("tokenizer", MT_KIND_TOKENIZER, "a source without files is refused") { component in
            let table = component.table(mt_tokenizer_table())
            var source = mt_tokenizer_source()
            source.struct_size = UInt32(MemoryLayout<mt_tokenizer_source>.size)
            let score = table.probe(component.context, &source)
            if score != 0 { throw Breach("probe of an empty source is \(score), wanted 0") }
            var tokenizer: OpaquePointer?
            try expectRefusal("open of an empty source") { table.open(component.context, &source, &tokenizer, $0) }
        },
        kindCase("logger", MT_KIND_LOGGER, "a run is opened, written, flushed and closed") { component in
            let table = component.table(mt_logger_table())
            let directory = "\(FileSystem.environment("TMPDIR") ?? "/tmp")/martlet-check-\(getpid())"
            try System.makeDirectories(directory)
            defer { rmdir(directory) }
            let settings: JSON = ["directory": .string(directory), "run": "check", "config": [:]]
            var run: OpaquePointer?
            try checked { error in
                (try? Borrowed.lend(settings.text()) { table.open(component.context, $0, &run, error) }) ?? MT_ERROR
            }
            for step in 1...3 {
                let record = #"{"step": \#(step), "time": 0, "loss": 0.5}"#
                try checked { error in
                    (try? Borrowed.lend(record) { table.event(component.context, run, $0, error) }) ?? MT_ERROR
                }
            }
            try checked { table.flush(component.context, run, $0) }
            table.close(component.context, run)
        },
    ]

    private static func kindCase(
        _ name: String, _ kind: String, _ claim: String, _ run: @escaping @Sendable (Component) throws -> Void
    ) -> Case {
        Case(name: "kind-\(name)", claim: claim, needs: ["tables"]) { subject in
            for component in try subject.components(kind) { try run(component) }
        }
    }

    private static let hostileTexts = [
        "", "{}", "[]", "null", "{\"architectures\": 3}", "{\"architectures\": []}", "not JSON", "{\"a\":",
        "{\"hidden_size\": -1, \"num_hidden_layers\": 1e308}", String(repeating: "[", count: 10_000),
    ]

    /// Either an answer that is JSON, or a failure with a message.
    private static func expectAnswer(
        _ what: String, _ call: (mt_sink, UnsafeMutablePointer<mt_error>) throws -> mt_status
    ) throws {
        var error = mt_error()
        error.struct_size = UInt32(MemoryLayout<mt_error>.size)
        var status = MT_OK
        let answer = try collected { status = try call($0, &error) }
        if status == MT_OK {
            do { _ = try JSON(parsing: answer) } catch { throw Breach("\(what) answered with what is no JSON: \(error)") }
        } else {
            try expectMessage(what, error, status)
        }
    }

    private static func expectRefusal(_ what: String, _ call: (UnsafeMutablePointer<mt_error>) throws -> mt_status) throws {
        var error = mt_error()
        error.struct_size = UInt32(MemoryLayout<mt_error>.size)
        let status = try call(&error)
        if status == MT_OK { throw Breach("\(what) succeeded") }
        try expectMessage(what, error, status)
    }

    private static func expectMessage(_ what: String, _ error: mt_error, _ status: mt_status) throws {
        if withUnsafeBytes(of: error.message, { $0.first == 0 }) { throw Breach("\(what) failed with status \(status) and no message") }
    }
}

/// Text that cannot be read after the call. Its pages are kept, so that no later text comes to stand there.
private enum Borrowed {
    static func lend<Result>(_ text: String, _ body: (mt_str) throws -> Result) throws -> Result {
        let bytes = Array(text.utf8)
        let size = max(bytes.count, 1)
        guard let page = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), page != MAP_FAILED else {
            throw Breach("no memory for the input")
        }
        defer { mprotect(page, size, PROT_NONE) }
        bytes.withUnsafeBytes { page.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(page), byteCount: bytes.count) }
        return try body(mt_str(data: page.assumingMemoryBound(to: CChar.self), size: bytes.count))
    }
}

/// How a kind's table is laid out: a size word, a reserved word, then functions of 8 bytes.
private struct TableShape {
    let size: Int
    /// Byte offsets of functions that may be NULL.
    var optional: Set<Int> = []

    static let known: [String: TableShape] = [
        MT_KIND_ALIGNMENT: shape(mt_alignment_table.self, [\.metrics]),
        MT_KIND_CHECKPOINT: shape(mt_checkpoint_table.self, [\.create, \.write, \.finish, \.abandon]),
        MT_KIND_DATASET: shape(mt_dataset_table.self, []),
        MT_KIND_LOGGER: shape(mt_logger_table.self, []),
        MT_KIND_MODEL: shape(mt_model_table.self, [\.rename]),
        MT_KIND_OP: shape(mt_op_table.self, []),
        MT_KIND_OPTIMIZER: shape(mt_optimizer_table.self, []),
        MT_KIND_TOKENIZER: shape(mt_tokenizer_table.self, []),
    ]

    private static func shape<Table>(_ type: Table.Type, _ optional: [PartialKeyPath<Table>]) -> TableShape {
        TableShape(
            size: MemoryLayout<Table>.size, optional: Set(optional.compactMap { MemoryLayout<Table>.offset(of: $0) }))
    }

    func fault(_ component: Component) -> String? {
        guard let table = component.raw.table else { return "there is no table" }
        let stated = Int(table.load(as: UInt32.self))
        if stated < 16 || stated > 65536 || stated % 8 != 0 { return "struct_size is \(stated), wanted \(size)" }
        for offset in stride(from: 8, to: min(size, stated), by: 8) where !optional.contains(offset) {
            if table.load(fromByteOffset: offset, as: UInt.self) == 0 { return "the function at byte \(offset) is NULL" }
        }
        return stated < size ? "struct_size is \(stated), and the first version has \(size) bytes" : nil
    }
}
