/// What encoders of images and sound read: items of one shape, such as pixels [3, 224, 224] or log-mel [80, 3000].
package struct FeatureItems: Sendable {
    package let names: [String]
    /// [items, sizes…].
    package let shape: [Int]
    /// In row-major order.
    package let values: [Float]

    package init(names: [String], shape: [Int], values: [Float]) {
        (self.names, self.shape, self.values) = (names, shape, values)
    }

    /// The tensors of a file, an item each, ordered by name: numbers first.
    package init(path: String, components: any ComponentSource) throws {
        let file = try CheckpointHandle(path: path, components: components)
        let entries = file.tensors.values.sorted {
            (Int($0.name) ?? .max, $0.name) < (Int($1.name) ?? .max, $1.name)
        }
        guard let first = entries.first else { throw ModelError(.invalid, "the file holds no tensor", at: path) }
        for entry in entries where entry.shape != first.shape || entry.shape.isEmpty {
            throw ModelError(
                .invalid, "tensor \(entry.name) has shape \(entry.shape), wanted that of \(first.name), \(first.shape)",
                at: path)
        }
        self.init(
            names: entries.map(\.name), shape: [entries.count] + first.shape,
            values: try entries.flatMap { try file.floats($0) })
    }

    package var count: Int { shape[0] }

    /// Items of this range alone.
    package subscript(range: Range<Int>) -> FeatureItems {
        let size = shape.dropFirst().reduce(1, *)
        return FeatureItems(
            names: Array(names[range]), shape: [range.count] + shape.dropFirst(),
            values: Array(values[range.lowerBound * size..<range.upperBound * size]))
    }
}
