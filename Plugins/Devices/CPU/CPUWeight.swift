import CPUKernels
import Glibc
import PluginKit

/// A weight in the kernels' form.
final class CPUWeight: CPUMemory {
    /// One for each matrix: [rows, columns], or each expert of [experts, rows, columns].
    private(set) var matrices: [mk_weight] = []

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
        guard let layout = CPULayout(layout), let bytes = layout.bytes(count: count, rows: rows, columns: columns)
        else {
            return nil
        }
        let plain = layout.describe(rows: rows, columns: columns, nil)
        let all = repacks(plain, count) ? repackedBytes(plain) * count : bytes
        return (all + 63) / 64 * 64
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
        guard let layout = CPULayout(source.layout), let bytes = layout.bytes(rows: rows, columns: columns),
            let size = size(layout: source.layout, shape: source.shape)
        else {
            let known = CPULayout.names.joined(separator: ", ")
            throw PluginError(
                .unsupported,
                "a weight \(source.shape) of layout \"\(source.layout)\" cannot be held; known layouts are \(known), and columns must be whole blocks"
            )
        }
        let found = source.parts.reduce(0) { $0 + $1.count }
        guard found == bytes * count else {
            throw PluginError(
                .invalid,
                "a weight \(source.shape) of layout \"\(source.layout)\" has \(bytes * count) bytes, found \(found)")
        }
        guard source.parts.count == 1 || source.parts.count == count else {
            throw PluginError(.invalid, "a weight of \(count) matrices came in \(source.parts.count) parts")
        }
        let weight = try CPUWeight(size: size, isWeight: true)
        weight.fill(source, layout, count, rows, columns, bytes, pool)
        return weight
    }

    private func fill(
        _ source: WeightSource, _ layout: CPULayout, _ count: Int, _ rows: Int, _ columns: Int, _ bytes: Int,
        _ pool: mk_pool
    ) {
        guard let address else { return }
        var pool = pool
        let empty = layout.describe(rows: rows, columns: columns, nil)
        let repacks = Self.repacks(empty, count)
        let stride = Self.repackedBytes(empty)
        for i in 0..<count {
            let part = source.parts.count == 1 ? source.parts[0] : source.parts[i]
            let start = source.parts.count == 1 ? i * bytes : 0
            let from = part.baseAddress.map { $0 + start }
            if repacks {
                var plain = layout.describe(rows: rows, columns: columns, from)
                matrices.append(mk_repack(&pool, &plain, address + i * stride))
            } else {
                // Codes, scales and zero points of stacked matrices each follow each other.
                let places = layout.parts(i, of: count, rows: rows, columns: columns)
                for (to, part) in zip(places, layout.parts(0, of: 1, rows: rows, columns: columns)) {
                    if let from { mk_parallel_copy(&pool, address + to.lowerBound, from + part.lowerBound, part.count) }
                }
                matrices.append(
                    layout.describe(i, of: count, rows: rows, columns: columns, UnsafeRawPointer(address)))
            }
        }
    }

    /// Plain f32 memory as a weight: trained parameters and activations.
    static func plain(_ data: UnsafeRawPointer, rows: Int, columns: Int) -> mk_weight {
        var weight = mk_weight()
        weight.layout = MK_LAYOUT_F32
        weight.rows = rows
        weight.columns = columns
        weight.row_bytes = 4 * columns
        weight.data = data
        return weight
    }
}
