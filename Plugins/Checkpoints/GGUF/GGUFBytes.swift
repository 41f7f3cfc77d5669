import JSON

/// The parts of a GGUF header as bytes (github.com/ggml-org/ggml, docs/gguf.md, version 3).
struct GGUFBytes {
    private(set) var bytes: [UInt8] = []

    mutating func add<Number: BitwiseCopyable>(_ number: Number) { withUnsafeBytes(of: number) { bytes += $0 } }

    mutating func add(_ text: String) {
        add(UInt64(text.utf8.count))
        bytes += text.utf8
    }

    mutating func pad(to alignment: Int) {
        bytes += [UInt8](repeating: 0, count: (alignment - bytes.count % alignment) % alignment)
    }

    /// Key, type and value; arrays take the type of their first element.
    mutating func add(_ key: String, _ value: JSON) {
        add(key)
        guard let list = value.array else {
            let type = Self.type(key, value)
            add(type.rawValue)
            return add(value, type)
        }
        let type = list.first.map { Self.type(key, $0) } ?? .u32
        add(GGUFValueType.array.rawValue)
        add(type.rawValue)
        add(UInt64(list.count))
        for element in list { add(element, type) }
    }

    private mutating func add(_ value: JSON, _ type: GGUFValueType) {
        switch type {
        case .string: add(value.string ?? "")
        case .bool: add(UInt8(value.bool == true ? 1 : 0))
        case .u8: add(UInt8(truncatingIfNeeded: value.int ?? 0))
        case .f32: add(Float(value.double ?? 0))
        case .i32: add(Int32(clamping: value.int ?? 0))
        case .i64: add(Int64(value.int ?? 0))
        default: add(UInt32(clamping: value.int ?? 0))
        }
    }

    /// Keys whose numbers are signed or have fractions though a value may look whole.
    private static func type(_ key: String, _ value: JSON) -> GGUFValueType {
        if value.string != nil { return .string }
        if value.bool != nil { return .bool }
        if key.hasSuffix("token_type") { return .i32 }
        if key.hasSuffix("precompiled_charsmap") { return .u8 }
        let fractions = [
            "scores", "freq_base", "freq_base_swa", "epsilon", "softcapping", "scale", "factor", "clamp_kqv",
            "multiplier",
        ]
        if case .double = value { return .f32 }
        if fractions.contains(where: { key.hasSuffix($0) }) { return .f32 }
        return (value.int ?? 0) < 0 ? .i32 : (value.int ?? 0) > Int(UInt32.max) ? .i64 : .u32
    }
}
