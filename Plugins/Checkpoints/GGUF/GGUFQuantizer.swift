import PluginKit

/// Rows of floats as blocks of 32 or 256, by the rules of ggml's reference (ggml-quants.c, `quantize_row_*_ref`).
enum GGUFQuantizer {
    /// Layouts that can be written.
    static let layouts: Set<String> = [
        "f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k",
        "q6_k",
    ]

    /// `count` dense elements in `layout` as floats.
    static func floats(_ bytes: UnsafeRawBufferPointer, _ layout: String, count: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: count) { out, filled in
            switch layout {
            case "bf16":
                for i in 0..<count {
                    out[i] = Float(
                        bitPattern: UInt32(bytes.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)) << 16)
                }
            case "f16":
                for i in 0..<count {
                    out[i] = HalfFloat.float(bytes.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self))
                }
            default: for i in 0..<count { out[i] = bytes.loadUnaligned(fromByteOffset: 4 * i, as: Float.self) }
            }
            filled = count
        }
    }

    /// `values`, whole blocks, in `layout`.
    static func bytes(_ values: [Float], _ layout: String) -> [UInt8] {
        switch layout {
        case "f16": return words(values, HalfFloat.half)
        case "bf16": return words(values, HalfFloat.bfloat)
        case "q2_k": return blocks(values, 84, of: superblock, q2K)
        case "q3_k": return blocks(values, 110, of: superblock, q3K)
        case "q4_k": return blocks(values, 144, of: superblock, q4K)
        case "q5_k": return blocks(values, 176, of: superblock, q5K)
        case "q6_k": return blocks(values, 210, of: superblock, q6K)
        case "q8_0": return blocks(values, 34, eight)
        case "q4_0": return blocks(values, 18) { symmetric($0, 4, $1) }
        case "q5_0": return blocks(values, 22) { symmetric($0, 5, $1) }
        case "q4_1": return blocks(values, 20) { affine($0, 4, $1) }
        case "q5_1": return blocks(values, 24) { affine($0, 5, $1) }
        default: return values.withUnsafeBytes { Array($0) }
        }
    }

    private static func words(_ values: [Float], _ convert: (Float) -> UInt16) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 2 * values.count) { out, filled in
            for (i, value) in values.enumerated() {
                UnsafeMutableRawBufferPointer(out).storeBytes(of: convert(value), toByteOffset: 2 * i, as: UInt16.self)
            }
            filled = 2 * values.count
        }
    }

    private static func blocks(
        _ values: [Float], _ size: Int, of length: Int = 32,
        _ write: (UnsafeBufferPointer<Float>, UnsafeMutableRawBufferPointer) -> Void
    ) -> [UInt8] {
        let count = values.count / length
        return values.withUnsafeBufferPointer { values in
            [UInt8](unsafeUninitializedCapacity: count * size) { out, filled in
                for i in 0..<count {
                    write(
                        UnsafeBufferPointer(rebasing: values[length * i..<length * (i + 1)]),
                        UnsafeMutableRawBufferPointer(
                            rebasing: UnsafeMutableRawBufferPointer(out)[i * size..<(i + 1) * size]))
                }
                filled = count * size
            }
        }
    }

    /// A scale of 16 bits, then 32 signed bytes.
    private static func eight(_ x: UnsafeBufferPointer<Float>, _ out: UnsafeMutableRawBufferPointer) {
        let largest = x.reduce(0) { max($0, $1.magnitude) }
        let scale = largest / 127
        let inverse = scale == 0 ? 0 : 1 / scale
        out.storeBytes(of: HalfFloat.half(scale), as: UInt16.self)
        for i in 0..<32 { out[2 + i] = UInt8(bitPattern: Int8(clamping: whole((x[i] * inverse).rounded()))) }
    }

    /// d · (q - 2^(bits - 1)): the element of the largest magnitude becomes the most negative step.
    private static func symmetric(_ x: UnsafeBufferPointer<Float>, _ bits: Int, _ out: UnsafeMutableRawBufferPointer) {
        let middle = Float(1 << (bits - 1))
        var extreme: Float = 0
        for value in x where value.magnitude > extreme.magnitude { extreme = value }
        let scale = extreme / -middle
        let inverse = scale == 0 ? 0 : 1 / scale
        out.storeBytes(of: HalfFloat.half(scale), as: UInt16.self)
        pack(bits, out, from: 2) { x[$0] * inverse + middle + 0.5 }
    }

    /// d · q + m.
    private static func affine(_ x: UnsafeBufferPointer<Float>, _ bits: Int, _ out: UnsafeMutableRawBufferPointer) {
        let low = x.min() ?? 0
        let scale = ((x.max() ?? 0) - low) / Float(1 << bits - 1)
        let inverse = scale == 0 ? 0 : 1 / scale
        out.storeBytes(of: HalfFloat.half(scale), as: UInt16.self)
        out.storeBytes(of: HalfFloat.half(low), toByteOffset: 2, as: UInt16.self)
        pack(bits, out, from: 4) { (x[$0] - low) * inverse + 0.5 }
    }

    /// The fifth bits of all elements where there are five, then element j in the low and j + 16 in the high half of byte j.
    private static func pack(_ bits: Int, _ out: UnsafeMutableRawBufferPointer, from start: Int, _ step: (Int) -> Float)
    {
        let limit = 1 << bits - 1
        var high: UInt32 = 0
        let nibbles = bits == 5 ? start + 4 : start
        for j in 0..<16 {
            let first = min(limit, max(0, whole(step(j))))
            let second = min(limit, max(0, whole(step(j + 16))))
            out[nibbles + j] = UInt8(first & 15 | (second & 15) << 4)
            high |= UInt32(first >> 4) << UInt32(j) | UInt32(second >> 4) << UInt32(j + 16)
        }
        if bits == 5 { out.storeBytes(of: high, toByteOffset: start, as: UInt32.self) }
    }

    /// Towards zero; 0 for what is no number.
    private static func whole(_ value: Float) -> Int { value.magnitude < 0x1p30 ? Int(value) : 0 }
}
