import CPUKernels
import PluginKit

/// How a weight lies in memory, by the name that checkpoints and quantizers give it: a block format such as "q4_0", or a
/// 4-bit table with the number of columns that share a scale, such as "nf4:64".
struct CPULayout {
    let kind: mk_layout
    /// Columns that share a scale; 0 where the blocks hold their own.
    let group: Int
    let codebook: UnsafePointer<Float>?

    static let blocks: [String: mk_layout] = [
        "f32": MK_LAYOUT_F32, "f16": MK_LAYOUT_F16, "bf16": MK_LAYOUT_BF16, "q4_0": MK_LAYOUT_Q4_0,
        "q4_1": MK_LAYOUT_Q4_1,
        "q5_0": MK_LAYOUT_Q5_0, "q5_1": MK_LAYOUT_Q5_1, "q8_0": MK_LAYOUT_Q8_0, "q2_k": MK_LAYOUT_Q2_K,
        "q3_k": MK_LAYOUT_Q3_K, "q4_k": MK_LAYOUT_Q4_K, "q5_k": MK_LAYOUT_Q5_K, "q6_k": MK_LAYOUT_Q6_K,
        "iq4_nl": MK_LAYOUT_IQ4_NL, "iq4_xs": MK_LAYOUT_IQ4_XS, "mxfp4": MK_LAYOUT_MXFP4,
    ]
    static let names = blocks.keys.sorted() + ["nf4:GROUP", "fp4:GROUP"]

    /// Tables that live as long as the process.
    nonisolated(unsafe) private static let nf4 = table(Codebook4.nf4)
    nonisolated(unsafe) private static let fp4 = table(Codebook4.fp4)

    private static func table(_ values: [Float]) -> UnsafePointer<Float> {
        let memory = UnsafeMutablePointer<Float>.allocate(capacity: values.count)
        memory.initialize(from: values, count: values.count)
        return UnsafePointer(memory)
    }

    init?(_ name: String) {
        if let kind = Self.blocks[name] {
            self.kind = kind
            group = 0
            codebook = nil
            return
        }
        let parts = name.split(separator: ":")
        guard parts.count == 2, let group = Int(parts[1]), group > 0 else { return nil }
        switch parts[0] {
        case "nf4": codebook = Self.nf4
        case "fp4": codebook = Self.fp4
        default: return nil
        }
        kind = MK_LAYOUT_CODEBOOK4
        self.group = group
    }

    /// Bytes of the scales of one matrix.
    func scaleBytes(rows: Int, columns: Int) -> Int { group == 0 ? 0 : rows * ((columns + group - 1) / group) * 4 }

    /// The bytes of one matrix as it comes, or nil when the columns are no whole blocks.
    func bytes(rows: Int, columns: Int) -> Int? {
        guard columns >= 0, rows >= 0, group == 0 || columns % 2 == 0 else { return nil }
        let row = mk_row_bytes(kind, 0, columns)
        return row == 0 && columns > 0 ? nil : row * rows + scaleBytes(rows: rows, columns: columns)
    }

    /// The matrix at `data`: its codes, and behind them its scales.
    func describe(rows: Int, columns: Int, _ data: UnsafeRawPointer?) -> mk_weight {
        var weight = mk_weight()
        weight.layout = kind
        weight.rows = rows
        weight.columns = columns
        weight.row_bytes = mk_row_bytes(kind, 0, columns)
        weight.data = data
        guard group > 0 else { return weight }
        weight.group = group
        weight.codebook = codebook
        weight.scale_type = MK_SCALE_F32
        weight.scales = data.map { $0 + weight.row_bytes * rows }
        return weight
    }
}
