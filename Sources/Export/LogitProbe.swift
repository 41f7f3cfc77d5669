package import Model

/// Two models' logits on the same texts.
package struct LogitProbe: Sendable {
    package struct Difference: Sendable {
        /// Largest absolute difference of a logit.
        package var largest: Double
        /// Of the first model's logits, about their mean.
        package var spread: Double
        /// Share of the positions whose likeliest token is the same.
        package var agreement: Double
        /// Compared logits.
        package var count: Int

        /// The largest difference as a share of the spread: what tolerances are stated in.
        package var relative: Double { spread > 0 ? largest / spread : largest }
    }

    /// Token ids of the texts.
    let sequences: [[Int32]]

    /// Texts of several kinds, so that a difference in any part of the vocabulary shows.
    private static let texts = [
        "The capital of France is Paris. What is the capital of Italy?",
        "def mean(values):\n    return sum(values) / len(values)\n",
        "3, 1, 4, 1, 5, 9: the sum of these numbers is 23.",
        "Der Zug hat Verspätung. 今天天气很好。 ¿Dónde está la biblioteca?",
    ]

    package init(_ model: Model) throws {
        let vocabulary = max(1, model.shape.vocabulary)
        if let tokenizer = try? model.tokenizer {
            sequences = try Self.texts.map { try tokenizer.encode($0, options: .addSpecial) }.filter { !$0.isEmpty }
        } else {
            // Without a tokenizer: ids from all over the vocabulary.
            sequences = (0..<4).map { row in (0..<16).map { Int32((row * 16 + $0) * 7919 % vocabulary) } }
        }
    }

    /// Logits of a model on the probe's texts, to be compared with another's once this model is gone from memory; an encoder's
    /// are its states.
    package func logits(_ model: Model) throws -> [[Float]] {
        if model.task == .embedding, let part = model.shape.parts.first {
            let runner = SequenceRunner(model)
            return try sequences.map { ids in
                try runner.run([ids]) { [try model.family.build(part, in: $0, $1)[0]] }[0]
            }
        }
        let scorer = Scorer(model)
        return try sequences.map { try scorer.logits($0) }
    }

    /// How many numbers `logits` gives of each token.
    package static func width(_ model: Model) -> Int {
        model.task == .embedding ? model.shape.hidden : model.shape.vocabulary
    }

    package func compare(_ first: [[Float]], _ second: [[Float]], vocabulary: Int) throws -> Difference {
        var result = Difference(largest: 0, spread: 0, agreement: 0, count: 0)
        var (sum, squares, same, rows) = (0.0, 0.0, 0, 0)
        for (one, other) in zip(first, second) {
            guard one.count == other.count, vocabulary > 0, one.count % vocabulary == 0 else {
                throw ExportError(.invalid, "the models give \(one.count) and \(other.count) logits", at: "probe")
            }
            for row in 0..<one.count / vocabulary {
                var (top, otherTop) = (row * vocabulary, row * vocabulary)
                for i in row * vocabulary..<(row + 1) * vocabulary {
                    let difference = Double(abs(one[i] - other[i]))
                    // NaN is larger than any bound.
                    result.largest = difference.isNaN ? .infinity : max(result.largest, difference)
                    sum += Double(one[i])
                    squares += Double(one[i]) * Double(one[i])
                    if one[i] > one[top] { top = i }
                    if other[i] > other[otherTop] { otherTop = i }
                }
                same += top == otherTop ? 1 : 0
                rows += 1
            }
            result.count += one.count
        }
        let count = Double(max(1, result.count))
        result.spread = max(0, squares / count - (sum / count) * (sum / count)).squareRoot()
        result.agreement = Double(same) / Double(max(1, rows))
        return result
    }
}
