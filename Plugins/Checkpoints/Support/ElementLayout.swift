import Files

/// How the elements of a tensor stand in bytes: single values, or blocks that share scales.
package struct ElementLayout: Sendable, Equatable {
    /// The contract's id, such as "bf16" or "q4_k".
    package let id: String
    /// Elements a block; rows of a tensor hold whole blocks.
    package let elements: Int
    /// Bytes a block.
    package let bytes: Int

    private init(_ id: String, _ elements: Int, _ bytes: Int) {
        self.id = id
        self.elements = elements
        self.bytes = bytes
    }

    package static func named(_ id: String) -> ElementLayout? { byID[id] }

    /// Bytes of a tensor, or nil when that leaves 63 bits or the innermost dimension splits a block.
    package func byteCount(shape: [Int]) -> Int? {
        guard (shape.last ?? 1) % elements == 0, let count = checkedProduct(shape),
            count % elements == 0
        else { return nil }
        return checkedProduct([count / elements, bytes])
    }

    private static let byID = Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0) })

    /// Plain types as safetensors 0.6 and PyTorch name them; block types as ggml-common.h lays them out.
    private static let all: [ElementLayout] = [
        ElementLayout("bool", 1, 1), ElementLayout("u8", 1, 1), ElementLayout("i8", 1, 1),
        ElementLayout("u16", 1, 2), ElementLayout("i16", 1, 2), ElementLayout("u32", 1, 4),
        ElementLayout("i32", 1, 4), ElementLayout("u64", 1, 8), ElementLayout("i64", 1, 8),
        ElementLayout("f16", 1, 2), ElementLayout("bf16", 1, 2), ElementLayout("f32", 1, 4),
        ElementLayout("f64", 1, 8), ElementLayout("c64", 1, 8), ElementLayout("c128", 1, 16),
        ElementLayout("f8_e4m3", 1, 1), ElementLayout("f8_e5m2", 1, 1), ElementLayout("f8_e8m0", 1, 1),
        ElementLayout("f8_e4m3fnuz", 1, 1), ElementLayout("f8_e5m2fnuz", 1, 1),
        ElementLayout("f6_e2m3", 4, 3), ElementLayout("f6_e3m2", 4, 3), ElementLayout("f4", 2, 1),
        ElementLayout("q4_0", 32, 18), ElementLayout("q4_1", 32, 20), ElementLayout("q5_0", 32, 22),
        ElementLayout("q5_1", 32, 24), ElementLayout("q8_0", 32, 34),
        ElementLayout("q2_k", 256, 84), ElementLayout("q3_k", 256, 110), ElementLayout("q4_k", 256, 144),
        ElementLayout("q5_k", 256, 176), ElementLayout("q6_k", 256, 210),
        ElementLayout("iq1_s", 256, 50), ElementLayout("iq1_m", 256, 56), ElementLayout("iq2_xxs", 256, 66),
        ElementLayout("iq2_xs", 256, 74), ElementLayout("iq2_s", 256, 82), ElementLayout("iq3_xxs", 256, 98),
        ElementLayout("iq3_s", 256, 110), ElementLayout("iq4_nl", 32, 18), ElementLayout("iq4_xs", 256, 136),
        ElementLayout("tq1_0", 256, 54), ElementLayout("tq2_0", 256, 66), ElementLayout("mxfp4", 32, 17),
        ElementLayout("nvfp4", 64, 36),
    ]
}
