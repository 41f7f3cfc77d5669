import Files
import Host
import JSON
import PluginAPI
import PluginKit
import Random

extension Case {
    static let dataset = kindCase(
        "dataset", MT_KIND_DATASET,
        claim:
            "damaged files give rows, damaged rows or a refusal, and always an end; a cursor leads back; readers share nothing"
    ) { component, subject in
        let table = component.table(mt_dataset_table())
        try Ask.score(
            "probe of a missing file",
            try Borrowed.lend("/nonexistent/rows") { table.probe(component.context, $0, mt_bytes()) })
        var none: OpaquePointer?
        try Ask.refusal("open of a missing file") { error in
            try Borrowed.lend("/nonexistent/rows") { path in
                try Borrowed.lend("{}") { table.open(component.context, path, $0, &none, error) }
            }
        }
        try Ask.inDirectory { directory in
            let samples = try subject.samples()
            var isOwnRead = samples.isEmpty
            for (name, whole) in SuiteFiles.rows + samples {
                let path = "\(directory)/\(name)"
                for (damage, bytes) in SuiteFiles.damaged(whole) {
                    try Ask.write(bytes, to: path)
                    try DatasetSuite(component, table, path, "\(name), \(damage)").run(bytes)
                }
                try Ask.write(whole, to: path)
                let rows = try DatasetSuite(component, table, path, name).checkInstances(whole)
                if rows > 0, samples.contains(where: { $0.0 == name }) { isOwnRead = true }
            }
            if !isOwnRead { throw Breach("it reads no row of its own samples in check/") }
        }
    }

    static let checkpoint = kindCase(
        "checkpoint", MT_KIND_CHECKPOINT,
        claim: "truncated and changed files are refused or stay within their bounds; what is written is read back"
    ) { component, subject in
        let table = component.table(mt_checkpoint_table())
        let score = try Borrowed.lend("/nonexistent/model") { table.probe(component.context, $0) }
        if score != 0 { throw Breach("probe of a missing file is \(score), wanted 0") }
        var none: OpaquePointer?
        try Ask.refusal("open of a missing file") { error in
            try Borrowed.lend("/nonexistent/model") { table.open(component.context, $0, &none, error) }
        }
        try Ask.inDirectory { directory in
            for (name, whole) in SuiteFiles.checkpoints + (try subject.samples()) {
                for (damage, bytes) in SuiteFiles.damaged(whole) {
                    let path = "\(directory)/\(name)"
                    try Ask.write(bytes, to: path)
                    _ = try CheckpointSuite(component, table, "\(name), \(damage)").read(path)
                }
                try Ask.write(whole, to: "\(directory)/\(name)")
                try CheckpointSuite(component, table, name).share("\(directory)/\(name)")
            }
            try CheckpointSuite(component, table, "what it wrote").writeAndRead("\(directory)/written")
        }
    }
}

/// Small whole files, and what may happen to files.
enum SuiteFiles {
    static let rows: [(String, [UInt8])] = [
        ("rows.jsonl", Array("{\"a\": 1, \"b\": \"x\"}\n{\"a\": 2, \"b\": \"é\\n\"}\n\n{\"a\": 3}\n".utf8)),
        ("rows.json", Array("[{\"a\": 1, \"b\": [1, 2]}, {\"a\": 2, \"b\": {\"c\": null}}, {\"a\": 3}]".utf8)),
        ("rows.csv", Array("a,b\n1,x\n2,\"two\nlines, \"\"quoted\"\"\"\n3,\n".utf8)),
        ("rows.txt", Array("one line\nanother\n\nlast".utf8)),
    ]

    /// Two small tensors each, in the formats' plainest form.
    static let checkpoints: [(String, [UInt8])] = [("model.safetensors", safetensors), ("model.gguf", gguf)]

    private static let safetensors: [UInt8] = {
        let header =
            #"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}}"#
        let padded = Array((header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)).utf8)
        return little(UInt64(padded.count)) + padded + (0..<32).map { UInt8($0) }
    }()

    /// ggml's GGUF, version 3: magic, counts, metadata, tensor entries, aligned data.
    private static let gguf: [UInt8] = {
        func text(_ value: String) -> [UInt8] { little(UInt64(value.utf8.count)) + Array(value.utf8) }
        func entry(_ name: String, _ dims: [UInt64], _ offset: UInt64) -> [UInt8] {
            text(name) + little(UInt32(dims.count)) + dims.flatMap { little($0) } + little(UInt32(0)) + little(offset)
        }
        var bytes = Array("GGUF".utf8) + little(UInt32(3)) + little(UInt64(2)) + little(UInt64(2))
        bytes += text("general.architecture") + little(UInt32(8)) + text("llama")
        bytes += text("general.alignment") + little(UInt32(4)) + little(UInt32(32))
        bytes += entry("token_embd.weight", [3, 2], 0) + entry("output_norm.weight", [4], 32)
        while bytes.count % 32 != 0 { bytes.append(0) }
        return bytes + (0..<48).map { UInt8($0) }
    }()

    private static func little<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    /// The file itself, cut at many places, with bytes changed, and files that have nothing to do with it.
    static func damaged(_ whole: [UInt8]) -> [(String, [UInt8])] {
        var all = [
            ("whole", whole), ("empty", []), ("not UTF-8", [0xFF, 0xFE, 0x00, 0x80, 0x0A]),
            ("zeros", [UInt8](repeating: 0, count: 300)),
        ]
        for part in 1..<16 where part * whole.count / 16 > 0 {
            all.append(("cut to \(part * whole.count / 16) bytes", Array(whole.prefix(part * whole.count / 16))))
        }
        for round in 0..<64 {
            var bytes = whole
            for i in 0..<(1 + round % 3) {
                let words = Philox.block(seed: 5, stream: UInt64(round), counter: UInt64(i))
                bytes[Int(words.0) % bytes.count] = UInt8(truncatingIfNeeded: words.1)
            }
            all.append(("change \(round)", bytes))
        }
        all.append(("nested deep", Array(String(repeating: "[", count: 20_000).utf8)))
        return all
    }
}

/// One file, read to its end.
private struct DatasetSuite {
    let component: Component
    let table: mt_dataset_table
    let path: String
    let what: String

    init(_ component: Component, _ table: mt_dataset_table, _ path: String, _ what: String) {
        (self.component, self.table, self.path, self.what) = (component, table, path, what)
    }

    private enum Item: Equatable {
        case row([UInt8])
        case damaged
        case end
    }

    /// The rows' handle, if the plugin takes the file.
    private func open(_ bytes: [UInt8]) throws -> OpaquePointer? {
        let score = try Borrowed.lend(path) { path in
            try Borrowed.lend(Array(bytes.prefix(4096))) { table.probe(component.context, path, $0) }
        }
        try Ask.score("\(what): probe", score)
        guard score > 0 else { return nil }
        var rows: OpaquePointer?
        let isOpen = try Ask.accepts("\(what): open") { error in
            try Borrowed.lend(path) { path in
                try Borrowed.lend("{}") { table.open(component.context, path, $0, &rows, error) }
            }
        }
        return isOpen ? rows : nil
    }

    /// Two readers of a whole file, and four in threads of their own, do not disturb each other; each gives its memory back.
    /// - Returns: The number of rows.
    func checkInstances(_ bytes: [UInt8]) throws -> Int {
        guard let first = try open(bytes) else { return 0 }
        defer { table.close(component.context, first) }
        let wanted = try all(bytes)
        guard let second = try open(bytes) else { throw Breach("\(what): it cannot be opened twice") }
        defer { table.close(component.context, second) }
        for item in wanted {
            for rows in [first, second] where try next(rows) != item {
                throw Breach("\(what): two readers at once disturb each other")
            }
        }
        try Ask.together("\(what): reading to the end", times: 20) { try all(bytes) }
        try Ask.balance("\(what): opening, reading and closing", times: 100) { _ = try all(bytes) }
        return wanted.count { $0 != .damaged && $0 != .end }
    }

    private func all(_ bytes: [UInt8]) throws -> [Item] {
        guard let rows = try open(bytes) else { return [] }
        defer { table.close(component.context, rows) }
        var items = [try next(rows)]
        while items.last != .end, items.count <= bytes.count + 1 { items.append(try next(rows)) }
        return items
    }

    func run(_ bytes: [UInt8]) throws {
        guard let rows = try open(bytes) else { return }
        defer { table.close(component.context, rows) }
        let start = try cursor(rows)
        let first = try next(rows)
        var item = first
        var count = 0
        while item != .end {
            count += 1
            if count > bytes.count + 1 { throw Breach("\(what): more rows than bytes") }
            item = try next(rows)
        }
        try Ask.demand("\(what): seek to the cursor of the first row") { error in
            try Borrowed.lend(start) { table.seek(component.context, rows, $0, error) }
        }
        guard try next(rows) == first else { throw Breach("\(what): after seek, next gives another row") }
    }

    private func cursor(_ rows: OpaquePointer?) throws -> String {
        var text: [UInt8] = []
        try Ask.demand("\(what): cursor") { error in
            var status = MT_OK
            text = try collected { status = table.cursor(component.context, rows, $0, error) }
            return status
        }
        return String(decoding: text, as: UTF8.self)
    }

    private func next(_ rows: OpaquePointer?) throws -> Item {
        var found = false
        var status = MT_OK
        var text: [UInt8] = []
        let isRow = try Ask.accepts("\(what): next") { error in
            text = try collected { status = table.next(component.context, rows, $0, &found, error) }
            return status
        }
        guard isRow else { return status == MT_INVALID ? .damaged : .end }
        guard found else { return .end }
        guard (try? JSON(parsing: text))?.object != nil else {
            throw Breach("\(what): a row is no JSON object: \(String(decoding: text.prefix(60), as: UTF8.self))")
        }
        return .row(text)
    }
}

/// One checkpoint, opened and held against its file.
private struct CheckpointSuite {
    let component: Component
    let table: mt_checkpoint_table
    let what: String

    init(_ component: Component, _ table: mt_checkpoint_table, _ what: String) {
        (self.component, self.table, self.what) = (component, table, what)
    }

    /// A tensor as the file holds it.
    struct Entry {
        let name, layout: String
        let shape: [Int64]
        let bytes: [UInt8]
    }

    /// All tensors, or nil for a file that is refused.
    func read(_ path: String) throws -> [Entry]? {
        let score = try Borrowed.lend(path) { table.probe(component.context, $0) }
        try Ask.score("\(what): probe", score)
        guard score > 0 else { return nil }
        var checkpoint: OpaquePointer?
        let isOpen = try Ask.accepts("\(what): open") { error in
            try Borrowed.lend(path) { table.open(component.context, $0, &checkpoint, error) }
        }
        guard isOpen else { return nil }
        defer { table.close(component.context, checkpoint) }
        try Ask.json("\(what): describe") { table.describe(component.context, checkpoint, $0, $1) }
        let files = try (0..<table.file_count(component.context, checkpoint)).map { index in
            try MappedFile(table.file(component.context, checkpoint, index).string)
        }
        return try (0..<table.tensor_count(component.context, checkpoint)).map { index in
            var entry = mt_tensor_entry()
            entry.struct_size = UInt32(MemoryLayout<mt_tensor_entry>.size)
            try Ask.demand("\(what): tensor \(index)") {
                table.tensor(component.context, checkpoint, index, &entry, $0)
            }
            guard files.indices.contains(Int(entry.file)) else {
                throw Breach("\(what): tensor \(index) lies in file \(entry.file)")
            }
            let file = files[Int(entry.file)]
            let (end, overflow) = entry.offset.addingReportingOverflow(entry.size)
            guard !overflow, end <= UInt64(file.bytes.count) else {
                throw Breach("\(what): tensor \(entry.name.string) ends at byte \(end) of \(file.bytes.count)")
            }
            let shape = (0..<Int(entry.rank)).map { entry.shape[$0] }
            if shape.contains(where: { $0 < 0 }) {
                throw Breach("\(what): tensor \(entry.name.string) has the shape \(shape)")
            }
            return Entry(
                name: entry.name.string, layout: entry.layout.string, shape: shape,
                bytes: Array(file.bytes[Int(entry.offset)..<Int(end)]))
        }
    }

    /// A whole file, read by four threads at once, and opened and closed many times.
    func share(_ path: String) throws {
        guard let first = try read(path) else { return }
        let wanted = first.map { "\($0.name) \($0.layout) \($0.shape) \($0.bytes)" }
        try Ask.together("\(what): opening and reading", times: 10) {
            try read(path)?.map { "\($0.name) \($0.layout) \($0.shape) \($0.bytes)" } == wanted
        }
        try Ask.balance("\(what): opening and closing", times: 60) { _ = try read(path) }
    }

    /// Two tensors, written and read back. Formats that are only read are passed over.
    func writeAndRead(_ path: String) throws {
        guard let create = table.create, let write = table.write, let finish = table.finish, let abandon = table.abandon
        else { return }
        let wanted = [
            Entry(name: "model.a.weight", layout: "f32", shape: [2, 3], bytes: (0..<24).map { UInt8($0) }),
            Entry(name: "model.b.weight", layout: "bf16", shape: [5], bytes: (0..<10).map { UInt8(100 + $0) }),
        ]
        for isFinished in [false, true] {
            var writer: OpaquePointer?
            let isOpen = try withEntries(wanted) { entries in
                try Ask.accepts("create") { error in
                    try Borrowed.lend(path) { path in
                        try Borrowed.lend("{}") {
                            create(component.context, path, $0, entries, wanted.count, &writer, error)
                        }
                    }
                }
            }
            guard isOpen else { return }
            for entry in wanted {
                try Ask.demand("write") { error in
                    try Borrowed.lend(entry.bytes) { write(component.context, writer, $0, error) }
                }
            }
            if isFinished { try Ask.demand("finish") { finish(component.context, writer, $0) } }
            abandon(component.context, writer)
            if !isFinished, System.kind(of: path) != nil {
                throw Breach("a writer that was abandoned left \(path) behind")
            }
        }
        guard let found = try read(path) else { throw Breach("what it wrote, it does not read") }
        for entry in wanted {
            guard let same = found.first(where: { $0.name == entry.name }), same.layout == entry.layout,
                same.shape == entry.shape,
                same.bytes == entry.bytes
            else { throw Breach("\(entry.name) does not come back as it was written") }
        }
    }

    private func withEntries(_ wanted: [Entry], _ body: (UnsafePointer<mt_tensor_entry>) throws -> Bool) throws -> Bool
    {
        let shapes = wanted.map { entry in
            let place = UnsafeMutablePointer<Int64>.allocate(capacity: entry.shape.count)
            place.initialize(from: entry.shape, count: entry.shape.count)
            return place
        }
        defer { for place in shapes { place.deallocate() } }
        let entries = zip(wanted, shapes).map { entry, shape in
            var raw = mt_tensor_entry()
            raw.struct_size = UInt32(MemoryLayout<mt_tensor_entry>.size)
            raw.rank = UInt32(entry.shape.count)
            raw.name = Text.forever(entry.name)
            raw.layout = Text.forever(entry.layout)
            raw.shape = UnsafePointer(shape)
            raw.size = UInt64(entry.bytes.count)
            return raw
        }
        return try entries.withUnsafeBufferPointer { try body($0.baseAddress.unsafelyUnwrapped) }
    }
}
