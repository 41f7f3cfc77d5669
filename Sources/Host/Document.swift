import Files
package import JSON

/// A JSON file of the host's own, read with the line of every value, so that a complaint names its place.
package struct Document {
    package let path: String
    package let root: JSON
    private let bytes: [UInt8]
    private let offsets: [String: Int]

    package init(path: String) throws(HostError) {
        let file: MappedFile
        do {
            file = try MappedFile(path)
        } catch {
            throw HostError(.io, error.description, at: path)
        }
        try self.init(Array(file.bytes), path: path)
    }

    package init(_ bytes: [UInt8], path: String) throws(HostError) {
        self.path = path
        self.bytes = bytes
        var options = JSON.ParseOptions()
        options.rejectsDuplicateKeys = true
        options.allowsNonFinite = false
        let outcome: Result<(JSON, [String: Int]), JSONError> = bytes.withUnsafeBufferPointer { buffer in
            var parser = JSONParser(buffer, options: options, recordsOffsets: true)
            return Result { () throws(JSONError) in (try parser.document(), parser.offsets) }
        }
        switch outcome {
        case .success(let (root, offsets)):
            self.root = root
            self.offsets = offsets
        case .failure(let error):
            throw HostError(.manifest, "is no valid JSON: \(error.message)", at: "\(path):\(error.line):\(error.column)")
        }
        guard root.object != nil else { throw self.error("", "found \(root.typeName), wanted an object") }
    }

    /// An error at the value of `field` ("provides[0].kind").
    package func error(_ field: String, _ message: String) -> HostError {
        let offset = offsets[field] ?? offsets[String(field.prefix { $0 != "." && $0 != "[" })] ?? 0
        let line = 1 + bytes.prefix(offset).count { $0 == 0x0A }
        return HostError(.manifest, field.isEmpty ? message : "\"\(field)\": \(message)", at: "\(path):\(line)")
    }

    /// The value at `field` when it has the wanted type; nil when it is absent.
    package func value<T>(_ field: String, _ wanted: String, _ read: (JSON) -> T?) throws(HostError) -> T? {
        guard let found = lookup(field), !found.isNull else { return nil }
        guard let value = read(found) else { throw error(field, "found \(found.text().prefix(60)), wanted \(wanted)") }
        return value
    }

    package func required<T>(_ field: String, _ wanted: String, _ read: (JSON) -> T?) throws(HostError) -> T {
        guard let value = try value(field, wanted, read) else { throw error(field, "is missing, wanted \(wanted)") }
        return value
    }

    /// Refuses members of the object at `field` that are not in `known`.
    package func refuseUnknown(_ field: String, known: [String]) throws(HostError) {
        for key in (field.isEmpty ? root : lookup(field))?.object?.keys ?? [] where !known.contains(key) {
            let path = field.isEmpty ? key : "\(field).\(key)"
            throw error(path, "is no known field; known are \(known.joined(separator: ", "))")
        }
    }

    private func lookup(_ field: String) -> JSON? {
        var value: JSON? = root
        for part in field.split(whereSeparator: { $0 == "." || $0 == "[" }) {
            value = part.last == "]" ? Int(part.dropLast()).flatMap { value?[$0] } : value?[String(part)]
        }
        return value
    }
}
