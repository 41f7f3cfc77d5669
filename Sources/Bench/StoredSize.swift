/// How much a weight takes as checkpoints store it; see Documentation/Layouts.md.
struct StoredSize {
    /// Bytes of codes, or of blocks that hold their own scales.
    let codes: Int
    /// Scales and zero points in f32 behind the codes.
    let numbers: Int

    /// Bytes and elements of a block, by layout.
    private static let blocks: [String: (bytes: Int, elements: Int)] = [
        "f32": (4, 1), "f16": (2, 1), "bf16": (2, 1), "q4_0": (18, 32), "q4_1": (20, 32), "q5_0": (22, 32),
        "q8_0": (34, 32), "mxfp4": (17, 32), "q4_k": (144, 256), "q5_k": (176, 256), "q6_k": (210, 256),
    ]
    /// Bits of a code, by the layout's name before its groups.
    private static let bits = ["nf4": 4, "fp4": 4, "affine4": 4, "affine8": 8, "fp8": 8]

    init?(layout: String, shape: [Int]) {
        let (count, columns) = (shape.reduce(1, *), shape.last ?? 0)
        if let block = Self.blocks[layout] {
            guard columns % block.elements == 0 else { return nil }
            (codes, numbers) = (count / block.elements * block.bytes, 0)
            return
        }
        let parts = layout.split(separator: ":").map(String.init)
        let group = parts.dropFirst().compactMap { Int($0) }.reduce(1, *)
        guard let bits = Self.bits[parts.first ?? ""], group > 1, count % group == 0, count * bits % 32 == 0 else {
            return nil
        }
        codes = count * bits / 8
        numbers = count / group * (parts[0].hasPrefix("affine") ? 2 : 1)
    }
}
