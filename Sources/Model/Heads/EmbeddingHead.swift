import Glibc
import Files
internal import JSON

/// Turns each sequence's states into one vector, as sentence-transformers' files beside a checkpoint ask.
package final class EmbeddingHead {
    /// How states become one (sentence-transformers' `Pooling`). Several give their vectors one after the other, in this order.
    package enum Pooling: String, Sendable, CaseIterable {
        case cls = "cls_token", max = "max_tokens", mean = "mean_tokens", scaledMean = "mean_sqrt_len_tokens"
        case weightedMean = "weightedmean_tokens", last = "lasttoken"
    }

    /// What is done with a pooled vector.
    enum Step {
        case dense(DenseModule)
        /// To unit length.
        case normalize
    }

    private let model: Model
    private let runner: SequenceRunner
    package let poolings: [Pooling]
    private let steps: [Step]
    /// Texts that go before a text, by what it is for.
    package let prompts: [String: String]
    /// The prompt of texts for which none is named.
    package let defaultPrompt: String?
    /// Longer texts are cut; 0 = none are.
    package let maximumTokens: Int

    /// Without files that say otherwise encoders take the mean, decoders the last token, of unit length.
    package init(_ model: Model) throws {
        self.model = model
        runner = SequenceRunner(model)
        let directory = model.files.directory
        var poolings: [Pooling] = []
        var steps: [Step] = [.normalize]
        var readsPrompt = true
        if let modules = try Self.read("\(directory)/modules.json")?.array {
            steps = []
            for module in modules {
                let path = module["path"]?.string.flatMap { $0.isEmpty ? nil : "\(directory)/\($0)" } ?? directory
                switch module["type"]?.string?.split(separator: ".").last ?? "" {
                case "Transformer", "Dropout": continue
                case "Normalize": steps.append(.normalize)
                case "Pooling":
                    let config = try Self.read("\(path)/config.json")
                    poolings = try Self.poolings(config, at: path)
                    readsPrompt = config?["include_prompt"]?.bool ?? true
                case "Dense":
                    steps.append(.dense(try DenseModule(path, try Self.read("\(path)/config.json") ?? [:], model)))
                case let other:
                    throw ModelError(
                        .unsupported,
                        "modules.json asks for a module \"\(other)\"; known are Transformer, Pooling, Dense, Normalize and Dropout",
                        at: directory)
                }
            }
        }
        self.steps = steps
        self.poolings = poolings.isEmpty ? [model.shape.parts.contains("decoder") ? .last : .mean] : poolings
        let settings = try Self.read("\(directory)/config_sentence_transformers.json")
        prompts =
            (settings?["prompts"]?.object).map { named in
                Dictionary(named.map { ($0.key, $0.value.string ?? "") }, uniquingKeysWith: { first, _ in first })
            } ?? [:]
        defaultPrompt = settings?["default_prompt_name"]?.string
        guard readsPrompt || prompts.values.allSatisfy(\.isEmpty) else {
            throw ModelError(
                .unsupported, "the pooling leaves the prompt out (include_prompt), which is not known here",
                at: directory)
        }
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

    /// One flag for each way, or in newer files a name or a list of them.
    private static func poolings(_ config: JSON?, at path: String) throws -> [Pooling] {
        guard let named = config?["pooling_mode"] else {
            return Pooling.allCases.filter { config?["pooling_mode_\($0.rawValue)"]?.bool == true }
        }
        return try (named.array ?? [named]).map { name in
            guard let text = name.string,
                let pooling = Pooling.allCases.first(where: {
                    [text, text + "_token", text + "_tokens"].contains($0.rawValue)
                })
            else { throw ModelError(.unsupported, "the pooling mode \(name.text()) is unknown", at: path) }
            return pooling
        }
    }

    /// The text with its prompt.
    /// - Parameter name: Which of `prompts`; the default one when nil.
    package func prompted(_ text: String, name: String?) throws -> String {
        guard let name = name ?? defaultPrompt else { return text }
        guard let prompt = prompts[name] else {
            let known =
                prompts.isEmpty ? "the model has none" : "known are \(prompts.keys.sorted().joined(separator: ", "))"
            throw ModelError(.notFound, "no prompt is named \"\(name)\"; \(known)", at: model.path)
        }
        return prompt + text
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
            let states = flat[start * width..<(start + ids.count) * width]
            return finished(poolings.flatMap { pooled(states, count: ids.count, $0) })
        }
    }

    /// A vector behind the steps that the files ask for.
    private func finished(_ pooled: [Double]) -> [Float] {
        var vector = pooled
        for step in steps {
            switch step {
            case .dense(let module): vector = module.apply(vector)
            case .normalize:
                let length = Swift.max(vector.reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-12)
                vector = vector.map { $0 / length }
            }
        }
        return vector.map { Float($0) }
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
        return (0..<count).map { finished(flat[$0 * width..<($0 + 1) * width].map(Double.init)) }
    }

    /// states [count, width] → [width].
    private func pooled(_ states: ArraySlice<Float>, count: Int, _ pooling: Pooling) -> [Double] {
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
        switch pooling {
        case .cls: return row(0).map(Double.init)
        case .last: return row(count - 1).map(Double.init)
        case .mean: return sum { _ in 1 / n }
        case .scaledMean: return sum { _ in 1 / n.squareRoot() }
        case .weightedMean: return sum { Double($0 + 1) * 2 / (n * (n + 1)) }
        case .max:
            var vector = [Double](repeating: -.infinity, count: width)
            for token in 0..<count {
                for (i, value) in row(token).enumerated() { vector[i] = Swift.max(vector[i], Double(value)) }
            }
            return vector
        }
    }
}
