import Glibc
import Files
internal import JSON

/// Turns each sequence's states into one vector, as sentence-transformers' files beside a checkpoint ask.
package final class EmbeddingHead {
    /// How states become one (sentence-transformers' `Pooling`).
    package enum Pooling: String, Sendable, CaseIterable {
        case cls = "cls_token", mean = "mean_tokens", max = "max_tokens", scaledMean = "mean_sqrt_len_tokens"
        case weightedMean = "weightedmean_tokens", last = "lasttoken"
    }

    private let model: Model
    private let runner: SequenceRunner
    package let pooling: Pooling
    /// Vectors are brought to unit length.
    package let normalizes: Bool
    /// Longer texts are cut; 0 = none are.
    package let maximumTokens: Int

    /// Without files that say otherwise encoders take the mean, decoders the last token, of unit length.
    package init(_ model: Model, pooling: Pooling? = nil) throws {
        self.model = model
        runner = SequenceRunner(model)
        let directory = model.files.directory
        var found: Pooling?
        var normalizes = true
        if let modules = try Self.read("\(directory)/modules.json")?.array {
            normalizes = false
            for module in modules {
                let type = module["type"]?.string?.split(separator: ".").last.map(String.init) ?? ""
                switch type {
                case "Transformer": continue
                case "Normalize": normalizes = true
                case "Pooling":
                    found = try Self.pooling(
                        Self.read("\(directory)/\(module["path"]?.string ?? "1_Pooling")/config.json"))
                default:
                    throw ModelError(
                        .unsupported,
                        "modules.json asks for a module \"\(type)\"; known are Transformer, Pooling and Normalize",
                        at: directory)
                }
            }
        }
        self.normalizes = normalizes
        self.pooling = pooling ?? found ?? (model.shape.parts.contains("decoder") ? .last : .mean)
        let limit = try Self.read("\(directory)/sentence_bert_config.json")?["max_seq_length"]?.int ?? 0
        maximumTokens = [limit, model.shape.maximumPositions].filter { $0 > 0 }.min() ?? 0
    }

    private static func read(_ path: String) throws -> JSON? {
        guard access(path, R_OK) == 0 else { return nil }
        let file = try MappedFile(path)
        do throws(JSONError) {
            return try JSON(parsing: file.contents)
        } catch {
            throw ModelError(.invalid, error.description, at: path)
        }
    }

    private static func pooling(_ config: JSON?) -> Pooling? {
        Pooling.allCases.first { config?["pooling_mode_\($0.rawValue)"]?.bool == true }
    }

    /// One vector for each sequence.
    package func embeddings(_ sequences: [[Int32]]) throws -> [[Float]] {
        guard !sequences.isEmpty else { return [] }
        if model.shape.parts.contains("text_vectors") { return try vectors("text_vectors", of: sequences, nil) }
        let width = model.shape.hidden
        let flat = try runner.run(sequences) { [model] graph, inputs in
            let part = model.shape.parts.contains("decoder") ? "decoder" : "encoder"
            return [try model.family.build(part, in: graph, inputs)[0]]
        }[0]
        var start = 0
        return sequences.map { ids in
            defer { start += ids.count }
            return pooled(flat[start * width..<(start + ids.count) * width], count: ids.count)
        }
    }

    /// One vector for each image.
    package func embeddings(_ items: FeatureItems) throws -> [[Float]] {
        guard model.shape.parts.contains("image_vectors") else {
            throw ModelError(
                .unsupported,
                "this model makes no vectors of images; its parts are \(model.shape.parts.joined(separator: ", "))",
                at: model.path)
        }
        return try vectors("image_vectors", of: [], items)
    }

    /// The second output of a part, [n, width], brought to unit length as asked.
    private func vectors(_ part: String, of sequences: [[Int32]], _ items: FeatureItems?) throws -> [[Float]] {
        let flat = try runner.run(sequences, features: items) { [model] graph, inputs in
            let outputs = try model.family.build(part, in: graph, inputs)
            guard outputs.count > 1 else {
                throw ModelError(.invalid, "the part \(part) gives no vectors as its second output", at: model.path)
            }
            return [outputs[1]]
        }[0]
        let count = items?.count ?? sequences.count
        let width = flat.count / max(1, count)
        return (0..<count).map { scaled(flat[$0 * width..<($0 + 1) * width].map(Double.init)) }
    }

    /// states [count, width] → [width].
    private func pooled(_ states: ArraySlice<Float>, count: Int) -> [Float] {
        let width = model.shape.hidden
        func row(_ token: Int) -> ArraySlice<Float> { states.dropFirst(token * width).prefix(width) }
        /// Σ weight(t) · row t.
        func sum(_ weight: (Int) -> Double) -> [Double] {
            var sum = [Double](repeating: 0, count: width)
            for token in 0..<count {
                for (i, value) in row(token).enumerated() { sum[i] += weight(token) * Double(value) }
            }
            return sum
        }
        let n = Double(count)
        var vector: [Double]
        switch pooling {
        case .cls: vector = row(0).map(Double.init)
        case .last: vector = row(count - 1).map(Double.init)
        case .mean: vector = sum { _ in 1 / n }
        case .scaledMean: vector = sum { _ in 1 / n.squareRoot() }
        case .weightedMean: vector = sum { Double($0 + 1) * 2 / (n * (n + 1)) }
        case .max:
            vector = [Double](repeating: -.infinity, count: width)
            for token in 0..<count {
                for (i, value) in row(token).enumerated() { vector[i] = Swift.max(vector[i], Double(value)) }
            }
        }
        return scaled(vector)
    }

    private func scaled(_ vector: [Double]) -> [Float] {
        let length = normalizes ? Swift.max(vector.reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-12) : 1
        return vector.map { Float($0 / length) }
    }
}
