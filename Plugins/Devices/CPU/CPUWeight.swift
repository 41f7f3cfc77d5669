import CPUKernels
import Glibc
import PluginKit

/// A weight in the kernels' form.
final class CPUWeight: CPUMemory {
    /// One for each matrix: [rows, columns], or each expert of [experts, rows, columns].
    private(set) var matrices: [mk_weight] = []

    /// The kernels' name of a layout.
    static let layouts: [String: mk_layout] = [
        "f32": MK_LAYOUT_F32, "f16": MK_LAYOUT_F16, "bf16": MK_LAYOUT_BF16, "q4_0": MK_LAYOUT_Q4_0, "q4_1": MK_LAYOUT_Q4_1,
        "q5_0": MK_LAYOUT_Q5_0, "q5_1": MK_LAYOUT_Q5_1, "q8_0": MK_LAYOUT_Q8_0, "q2_k": MK_LAYOUT_Q2_K,
        "q3_k": MK_LAYOUT_Q3_K, "q4_k": MK_LAYOUT_Q4_K, "q5_k": MK_LAYOUT_Q5_K, "q6_k": MK_LAYOUT_Q6_K,
        "iq4_nl": MK_LAYOUT_IQ4_NL, "iq4_xs": MK_LAYOUT_IQ4_XS, "mxfp4": MK_LAYOUT_MXFP4,
    ]

    /// The bytes that one matrix has in a checkpoint, or nil when the layout is unknown or does not fit the columns.
    private static func sourceBytes(_ layout: String, _ rows: Int, _ columns: Int) -> Int? {
        guard let kind = layouts[layout], columns >= 0, rows >= 0 else { return nil }
        let row = mk_row_bytes(kind, 0, columns)
        return row == 0 && columns > 0 ? nil : row * rows
    }

    private static func describe(_ layout: String, _ rows: Int, _ columns: Int, _ data: UnsafeRawPointer?) -> mk_weight {
        var weight = mk_weight()
        weight.layout = layouts[layout] ?? MK_LAYOUT_F32
        weight.rows = rows
        weight.columns = columns
        weight.row_bytes = mk_row_bytes(weight.layout, 0, columns)
        weight.data = data
        return weight
    }

    /// [count, rows, columns] of a shape of any rank: vectors are one row.
    private static func sides(_ shape: [Int]) -> (count: Int, rows: Int, columns: Int) {
        switch shape.count {
        case 0: return (1, 1, 1)
        case 1: return (1, 1, shape[0])
        case 2: return (1, shape[0], shape[1])
        default: return (shape.dropLast(2).reduce(1, *), shape[shape.count - 2], shape[shape.count - 1])
        }
    }

    /// Bytes that a weight takes in memory.
    static func size(layout: String, shape: [Int]) -> Int? {
        let (count, rows, columns) = sides(shape)
        guard let bytes = sourceBytes(layout, rows, columns) else { return nil }
        let plain = describe(layout, rows, columns, nil)
        let one = repacks(plain, count) ? repackedBytes(plain) : bytes
        return (one * count + 63) / 64 * 64
    }

    private static func repackedBytes(_ weight: mk_weight) -> Int {
        var weight = weight
        return mk_repacked_bytes(&weight)
    }

    /// Whether matrices are held in the faster form; stacked ones only where they then follow each other without gaps, as
    /// products over experts read them.
    private static func repacks(_ weight: mk_weight, _ count: Int) -> Bool {
        var weight = weight
        guard mk_can_repack(&weight) else { return false }
        return count == 1 || (weight.rows % 16 == 0 && mk_repacked_bytes(&weight) % 64 == 0)
    }

    /// All matrices as one whose rows follow each other.
    var stacked: mk_weight? {
        guard var all = matrices.first else { return nil }
        all.rows *= matrices.count
        return all
    }

    static func make(_ source: WeightSource, pool: mk_pool) throws -> CPUWeight {
        let (count, rows, columns) = sides(source.shape)
        guard let bytes = sourceBytes(source.layout, rows, columns), let size = size(layout: source.layout, shape: source.shape)
        else {
            let known = layouts.keys.sorted().joined(separator: ", ")
            throw PluginError(
                .unsupported,
                "a weight \(source.shape) of layout \"\(source.layout)\" cannot be held; known layouts are \(known), and columns must be whole blocks")
        }
        let found = source.parts.reduce(0) { $0 + $1.count }
        guard found == bytes * count else {
            throw PluginError(
                .invalid, "a weight \(source.shape) of layout \"\(source.layout)\" has \(bytes * count) bytes, found \(found)")
        }
        guard source.parts.count == 1 || source.parts.count == count else {
            throw PluginError(.invalid, "a weight of \(count) matrices came in \(source.parts.count) parts")
        }
        let weight = try CPUWeight(size: size)
        try weight.fill(source, count, rows, columns, bytes, pool)
        return weight
    }

    private func fill(
        _ source: WeightSource, _ count: Int, _ rows: Int, _ columns: Int, _ bytes: Int, _ pool: mk_pool
    ) throws {
        guard let address else { return }
        var pool = pool
        let repacks = Self.repacks(Self.describe(source.layout, rows, columns, nil), count)
        let stride = repacks ? Self.repackedBytes(Self.describe(source.layout, rows, columns, nil)) : bytes
        for i in 0..<count {
            let part = source.parts.count == 1 ? source.parts[0] : source.parts[i]
            let start = source.parts.count == 1 ? i * bytes : 0
            let from = part.baseAddress.map { $0 + start }
            let to = address + i * stride
            var plain = Self.describe(source.layout, rows, columns, from)
            if repacks {
                matrices.append(mk_repack(&pool, &plain, to))
            } else {
                if let from { mk_parallel_copy(&pool, to, from, bytes) }
                plain.data = UnsafeRawPointer(to)
                matrices.append(plain)
            }
        }
    }

    /// Plain f32 memory as a weight: trained parameters and activations.
    static func plain(_ data: UnsafeRawPointer, rows: Int, columns: Int) -> mk_weight {
        describe("f32", rows, columns, data)
    }
}
