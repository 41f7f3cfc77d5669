import CPUKernels
import PluginKit

/// How a weight lies in memory, by the name that checkpoints and quantizers give it; see Documentation/Layouts.md.
struct CPULayout {
    let kind: mk_layout
    /// Of an affine code; 0 elsewhere.
    var bits: UInt8 = 0
    /// Columns and rows that share a scale; 0 where the blocks hold their own.
    var group = 0
    var groupRows = 1
    var scaleType = MK_SCALE_F32
    var hasZeros = false
    var codebook: UnsafePointer<Float>?

    static let blocks: [String: mk_layout] = [
        "f32": MK_LAYOUT_F32, "f16": MK_LAYOUT_F16, "bf16": MK_LAYOUT_BF16, "q4_0": MK_LAYOUT_Q4_0,
        "q4_1": MK_LAYOUT_Q4_1,
        "q5_0": MK_LAYOUT_Q5_0, "q5_1": MK_LAYOUT_Q5_1, "q8_0": MK_LAYOUT_Q8_0, "q2_k": MK_LAYOUT_Q2_K,
        "q3_k": MK_LAYOUT_Q3_K, "q4_k": MK_LAYOUT_Q4_K, "q5_k": MK_LAYOUT_Q5_K, "q6_k": MK_LAYOUT_Q6_K,
        "iq4_nl": MK_LAYOUT_IQ4_NL, "iq4_xs": MK_LAYOUT_IQ4_XS, "mxfp4": MK_LAYOUT_MXFP4,
    ]
    static let names =
        blocks.keys.sorted() + ["nf4:GROUP", "fp4:GROUP", "affineBITS:GROUP", "fp8:ROWS:COLUMNS"]
    private static let affine: [String: UInt8] = [
        "affine2": 2, "affine3": 3, "affine4": 4, "affine5": 5, "affine6": 6, "affine8": 8,
    ]

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
            return
        }
        let parts = name.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let numbers = parts.dropFirst().prefix { $0.first?.isNumber == true }.compactMap { Int($0) }
        guard numbers.allSatisfy({ 1...1 << 30 ~= $0 }), let columns = numbers.last else { return nil }
        group = columns
        switch parts[0] {
        case "nf4": (kind, codebook) = (MK_LAYOUT_CODEBOOK4, Self.nf4)
        case "fp4": (kind, codebook) = (MK_LAYOUT_CODEBOOK4, Self.fp4)
        case "fp8": (kind, groupRows) = (MK_LAYOUT_FP8_E4M3, numbers[0])
        default:
            guard let bits = Self.affine[parts[0]] else { return nil }
            (kind, self.bits, hasZeros) = (MK_LAYOUT_AFFINE, bits, true)
        }
        guard numbers.count == (kind == MK_LAYOUT_FP8_E4M3 ? 2 : 1) else { return nil }
        for option in parts.dropFirst(1 + numbers.count) {
            switch option {
            case "f16": scaleType = MK_SCALE_F16
            case "bf16": scaleType = MK_SCALE_BF16
            case "symmetric" where kind == MK_LAYOUT_AFFINE: hasZeros = false
            default: return nil
            }
        }
    }

    /// Bytes of the codes of `count` matrices, up to where their scales begin.
    private func codeBytes(_ count: Int, rows: Int, columns: Int) -> Int {
        let bytes = mk_row_bytes(kind, bits, columns) * rows * count
        // Tables of 16 entries keep bitsandbytes' bytes as they are.
        return group == 0 || kind == MK_LAYOUT_CODEBOOK4 ? bytes : (bytes + 3) / 4 * 4
    }

    /// Bytes of the scales of one matrix.
    private func scaleBytes(rows: Int, columns: Int) -> Int {
        guard group > 0 else { return 0 }
        let count = (rows + groupRows - 1) / groupRows * ((columns + group - 1) / group)
        return count * (scaleType == MK_SCALE_F32 ? 4 : 2)
    }

    /// The bytes of `count` matrices, or nil when the columns are no whole blocks: the codes of all, then the scales of all, then
    /// the zero points. One matrix comes so.
    func bytes(count: Int = 1, rows: Int, columns: Int) -> Int? {
        guard columns >= 0, rows >= 0, kind != MK_LAYOUT_CODEBOOK4 || columns % 2 == 0,
            count == 1 || rows % groupRows == 0, mk_row_bytes(kind, bits, columns) > 0 || columns == 0
        else { return nil }
        return codeBytes(count, rows: rows, columns: columns)
            + scaleBytes(rows: rows, columns: columns) * count * (hasZeros ? 2 : 1)
    }

    /// The parts of matrix `index` of `count` within such bytes: codes, scales and zero points.
    func parts(_ index: Int, of count: Int, rows: Int, columns: Int) -> [Range<Int>] {
        let codes = mk_row_bytes(kind, bits, columns) * rows
        let scales = scaleBytes(rows: rows, columns: columns)
        let first = codeBytes(count, rows: rows, columns: columns)
        return [index * codes..<(index + 1) * codes, first + index * scales..<first + (index + 1) * scales]
            + (hasZeros ? [first + (count + index) * scales..<first + (count + index + 1) * scales] : [])
    }

    /// Matrix `index` of `count` at `data`.
    func describe(
        _ index: Int = 0, of count: Int = 1, rows: Int, columns: Int, _ data: UnsafeRawPointer?
    ) -> mk_weight {
        let places = parts(index, of: count, rows: rows, columns: columns)
        var weight = mk_weight()
        weight.layout = kind
        weight.bits = bits
        weight.rows = rows
        weight.columns = columns
        weight.row_bytes = mk_row_bytes(kind, bits, columns)
        weight.data = data.map { $0 + places[0].lowerBound }
        guard group > 0 else { return weight }
        weight.group = group
        weight.group_rows = groupRows
        weight.codebook = codebook
        weight.scale_type = scaleType
        weight.scales = data.map { $0 + places[1].lowerBound }
        if hasZeros { weight.zeros = data.map { $0 + places[2].lowerBound } }
        return weight
    }
}
