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
    package func text(_ example: EncodedExample, encoder: any RowEncoder) -> String {
        example.sequences.enumerated().map { index, sequence in
            let name = example.kind == .single ? "" : index == 0 ? ", chosen" : ", rejected"
            let label = example.label.map { ", label \($0)" } ?? ""
            return
                "--- row \(example.row)\(name)\(label): \(sequence.count) tokens, \(sequence.trainedTokens) trained\n"
                + marked(sequence, encoder) + "\n"
        }.joined()
    }

    private func marked(_ sequence: EncodedSequence, _ encoder: any RowEncoder) -> String {
        var out = ""
        var start = 0
        func isTrained(_ t: Int) -> Bool { t > 0 && sequence.weights[t] != 0 }
        while start < sequence.count {
            var end = start + 1
            while end < sequence.count, isTrained(end) == isTrained(start),
                sequence.weights[end] == sequence.weights[start]
                    || !isTrained(start)
            { end += 1 }
            let text = encoder.text(of: Array(sequence.ids[start..<end]))
            let weight = sequence.weights[start]
            switch (isTrained(start), style) {
            case (false, _): out += text
            case (true, .color): out += "\u{1B}[32m" + text + "\u{1B}[0m"
            case (true, .brackets): out += "[[" + (weight == 1 ? "" : "\(weight)|") + text + "]]"
            }
            start = end
        }
        return out
    }
}
