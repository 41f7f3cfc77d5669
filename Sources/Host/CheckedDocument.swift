import JSON

/// A JSON file that was read and holds what its schema allows.
struct CheckedDocument {
    let path: String
    let root: JSON
    private let code: HostError.Code
    private let bytes: [UInt8]
    private let offsets: [String: Int]

    /// The largest manifest or installation file that is read.
    private static let limit = 1 << 20

    /// - Throws: `HostError` with `code`, naming file, line, field, found and wanted.
    init(path: String, schema: Schema, code: HostError.Code) throws(HostError) {
        try self.init(path: path, bytes: try FileSystem.read(path, limit: Self.limit), schema: schema, code: code)
    }

    init(path: String, bytes: [UInt8], schema: Schema, code: HostError.Code) throws(HostError) {
        var options = JSON.ParseOptions()
        options.allowsNonFinite = false
        options.rejectsDuplicateKeys = true
        let parsed = bytes.withUnsafeBufferPointer { buffer in
            Result<(JSON, [String: Int]), JSONError> { () throws(JSONError) in
                var parser = JSONParser(buffer, options: options, recordsOffsets: true)
                let root = try parser.document()
                return (root, parser.offsets)
            }
        }
        switch parsed {
        case .success(let (root, offsets)):
            self.path = path
            self.root = root
            self.offsets = offsets
            self.bytes = bytes
            self.code = code
        case .failure(let failure):
            throw HostError(
                code, "\(path):\(failure.line):\(failure.column)", "is not JSON: \(failure.message)",
                fix: "correct the text there")
        }
        try check(root, schema, at: "")
    }

    /// A refusal of the value at `field`.
    func refusal(_ field: String, _ message: String, fix: String = "") -> HostError {
        HostError(code, "\(path):\(line(of: field))", field.isEmpty ? message : "\(field): \(message)", fix: fix)
    }

    /// File, line and field, for messages that come later.
    func place(of field: String) -> String { "\(path):\(line(of: field)): \(field)" }

    private func line(of field: String) -> Int {
        1 + bytes.prefix(offsets[field] ?? 0).count { $0 == 0x0A }
    }

    private func check(_ value: JSON, _ schema: Schema, at field: String) throws(HostError) {
        func wrong(_ wanted: String) -> HostError { refusal(field, "found \(Self.show(value)), wanted \(wanted)") }
        switch schema {
        case .text(let rule):
            guard let text = value.string, rule.holds(text) else { throw wrong(rule.wanted) }
        case .integer(let range):
            guard case .int(let number) = value, range ~= Int(number) else {
                throw wrong("an integer from \(range.lowerBound) to \(range.upperBound)")
            }
        case .boolean:
            guard value.bool != nil else { throw wrong("true or false") }
        case .list(let element, let least):
            guard let elements = value.array else { throw wrong("an array") }
            guard elements.count >= least else { throw wrong("at least \(least) elements") }
            for (i, item) in elements.enumerated() { try check(item, element, at: "\(field)[\(i)]") }
        case .map(let element):
            guard let members = value.object else { throw wrong("an object") }
            for (key, item) in members { try check(item, element, at: join(field, key)) }
        case .anyObject:
            guard value.object != nil else { throw wrong("an object") }
        case .object(let fields):
            guard let members = value.object else { throw wrong("an object") }
            for (key, item) in members {
                guard let known = fields.first(where: { $0.name == key }) else {
                    let names = fields.map(\.name)
                    throw refusal(
                        join(field, key), "is not a known field; known are \(names.joined(separator: ", "))",
                        fix: nearest(key, in: names).map { "did you mean \"\($0)\"?" } ?? "remove it")
                }
                try check(item, known.schema, at: join(field, key))
            }
            for wanted in fields where wanted.isRequired && members[wanted.name] == nil {
                throw refusal(
                    field, "the field \"\(wanted.name)\" is missing (\(wanted.summary))", fix: "add it")
            }
        }
    }

    private func join(_ field: String, _ key: String) -> String { field.isEmpty ? key : "\(field).\(key)" }

    private static func show(_ value: JSON) -> String {
        let text = value.text()
        return text.count <= 60 ? text : "\(value.typeName) \(text.prefix(57))…"
    }
}
