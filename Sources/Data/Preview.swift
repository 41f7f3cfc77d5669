import JSON

/// Shows which tokens of an example are trained (`--preview`).
package struct Preview: Sendable {
    /// How trained text is set apart.
    package enum Style: Sendable {
        /// Green, for terminals.
        case color
        /// `[[trained]]`, for pipes and files.
        case brackets
    }
    package var style: Style

    package init(_ style: Style) { self.style = style }

    /// The example's text with its trained runs marked, and a line of counts a sequence.
    /// - Parameter place: File and line of its row.
    package func text(_ example: EncodedExample, at place: String, encoder: any RowEncoder) -> String {
        example.sequences.enumerated().map { index, sequence in
            let name = example.kind == .single ? "" : index == 0 ? ", chosen" : ", rejected"
            let label = example.label.map { ", label \($0)" } ?? ""
            return "--- \(place)\(name)\(label): \(sequence.count) tokens, \(sequence.trainedTokens) trained\n"
                + marked(sequence, encoder) + "\n"
        }.joined()
    }

    /// The same for programs: place, label, and of each sequence its tokens and its text in pieces of one weight.
    package static func json(_ example: EncodedExample, at place: String, encoder: any RowEncoder) -> JSON {
        let sequences = example.sequences.map { sequence -> JSON in
            let pieces = runs(sequence).map { range, weight -> JSON in
                ["text": .string(encoder.text(of: Array(sequence.ids[range]))), "weight": .double(Double(weight))]
            }
            return [
                "tokens": .int(Int64(sequence.count)), "trained": .int(Int64(sequence.trainedTokens)),
                "pieces": .array(pieces),
            ]
        }
        return [
            "place": .string(place), "label": example.label.map { .double(Double($0)) } ?? .null,
            "sequences": .array(sequences),
        ]
    }

    private func marked(_ sequence: EncodedSequence, _ encoder: any RowEncoder) -> String {
        Self.runs(sequence).map { range, weight in
            let text = encoder.text(of: Array(sequence.ids[range]))
            switch (weight != 0, style) {
            case (false, _): return text
            case (true, .color): return "\u{1B}[32m" + text + "\u{1B}[0m"
            case (true, .brackets): return "[[" + (weight == 1 ? "" : "\(weight)|") + text + "]]"
            }
        }.joined()
    }

    /// Runs of tokens of one weight; the first token of a sequence is never trained.
    private static func runs(_ sequence: EncodedSequence) -> [(range: Range<Int>, weight: Float)] {
        func weight(_ t: Int) -> Float { t > 0 ? sequence.weights[t] : 0 }
        var out: [(range: Range<Int>, weight: Float)] = []
        var start = 0
        while start < sequence.count {
            var end = start + 1
            while end < sequence.count, weight(end) == weight(start) { end += 1 }
            out.append((start..<end, weight(start)))
            start = end
        }
        return out
    }
}
