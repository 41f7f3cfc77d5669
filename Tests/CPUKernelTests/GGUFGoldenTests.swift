import CPUKernels
import Glibc
import Testing

@Suite struct GGUFGoldenTests {
    static let names: [(String, mk_layout)] = [
        ("q4_0", MK_LAYOUT_Q4_0), ("q4_1", MK_LAYOUT_Q4_1), ("q5_0", MK_LAYOUT_Q5_0), ("q5_1", MK_LAYOUT_Q5_1),
        ("q8_0", MK_LAYOUT_Q8_0), ("q2_k", MK_LAYOUT_Q2_K), ("q3_k", MK_LAYOUT_Q3_K), ("q4_k", MK_LAYOUT_Q4_K),
        ("q5_k", MK_LAYOUT_Q5_K), ("q6_k", MK_LAYOUT_Q6_K), ("iq4_nl", MK_LAYOUT_IQ4_NL), ("iq4_xs", MK_LAYOUT_IQ4_XS),
        ("mxfp4", MK_LAYOUT_MXFP4),
    ]

    static func contents(_ name: String) throws -> [UInt8] {
        let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let file = try #require(fopen("\(folder)/Goldens/\(name).bin", "rb"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        return Array(bytes[..<fread(&bytes, 1, bytes.count, file)])
    }

    /// Two products and a difference in f32 may round in another order, so values agree to a few units in the last place of the
    /// block's largest.
    @Test(arguments: names) func blocksReadAsTheGGUFPackageReadsThem(name: String, layout: mk_layout) throws {
        let bytes = try Self.contents(name)
        try bytes.withUnsafeBytes { bytes in
            let columns = Int(bytes.loadUnaligned(as: UInt32.self)),
                rows = Int(bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
            let rowBytes = mk_row_bytes(layout, 0, columns)
            try #require(bytes.count == 8 + rows * rowBytes + rows * columns * 4)
            var weight = mk_weight()
            weight.layout = layout
            (weight.rows, weight.columns, weight.row_bytes) = (rows, columns, rowBytes)
            weight.data = UnsafeRawPointer(bytes.baseAddress! + 8)
            var found = [Float](repeating: .nan, count: rows * columns)
            mk_dequantize_rows(&weight, 0, rows, &found, columns)
            let expected = (0..<rows * columns).map {
                bytes.loadUnaligned(fromByteOffset: 8 + rows * rowBytes + $0 * 4, as: Float.self)
            }
            for start in stride(from: 0, to: expected.count, by: 32) {
                let largest = expected[start..<start + 32].map(abs).max() ?? 0
                for i in start..<start + 32 { #expect(abs(found[i] - expected[i]) <= largest * 0x1p-22) }
            }
        }
    }
}
