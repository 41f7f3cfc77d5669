/// Spells GGUF files field by field, right or wrong, for tests of the reader.
struct GGUFBuilder {
    var version: UInt32 = 3
    var tensorCount: UInt64?
    var keyCount: UInt64?
    private(set) var keys: [[UInt8]] = []
    private(set) var infos: [[UInt8]] = []
    var data: [UInt8] = []
    var alignment = 32

    static func text(_ value: String) -> [UInt8] { bytes(UInt64(value.utf8.count)) + Array(value.utf8) }

    /// Adds a value of GGUF type number `type` whose bytes are `value`.
    mutating func key(_ name: String, _ type: UInt32, _ value: [UInt8]) {
        keys.append(Self.text(name) + bytes(type) + value)
    }
    mutating func key(_ name: String, u32 value: UInt32) { key(name, 4, bytes(value)) }
    mutating func key(_ name: String, f32 value: Float) { key(name, 6, bytes(value.bitPattern)) }
    mutating func key(_ name: String, _ value: String) { key(name, 8, Self.text(value)) }

    /// Adds a tensor's description. `dimensions` stand in the file's order: innermost first.
    mutating func tensor(_ name: String, _ dimensions: [UInt64], type: UInt32, offset: UInt64) {
        infos.append(
            Self.text(name) + bytes(UInt32(dimensions.count)) + dimensions.flatMap { bytes($0) } + bytes(type)
                + bytes(offset))
    }

    /// Adds an f32 tensor after those there are, its data zero. `shape` is outermost first.
    mutating func zeros(_ name: String, _ shape: [Int]) {
        while data.count % alignment != 0 { data.append(0) }
        tensor(name, shape.reversed().map { UInt64($0) }, type: 0, offset: UInt64(data.count))
        data += [UInt8](repeating: 0, count: 4 * shape.reduce(1, *))
    }

    /// The file; its header alone is `header` long.
    var file: [UInt8] {
        var out = header
        while out.count % alignment != 0 { out.append(0) }
        return out + data
    }

    var header: [UInt8] {
        Array("GGUF".utf8) + bytes(version) + bytes(tensorCount ?? UInt64(infos.count))
            + bytes(keyCount ?? UInt64(keys.count)) + keys.flatMap { $0 } + infos.flatMap { $0 }
    }

    /// A small valid file with a key and a tensor.
    static var small: GGUFBuilder {
        var builder = GGUFBuilder()
        builder.key("general.architecture", "llama")
        builder.key("llama.attention.head_count", u32: 2)
        builder.key(
            "list", 9, bytes(UInt32(4)) + bytes(UInt64(3)) + bytes(UInt32(1)) + bytes(UInt32(2)) + bytes(UInt32(3)))
        builder.zeros("blk.0.attn_q.weight", [4, 8])
        builder.zeros("output_norm.weight", [8])
        return builder
    }
}
