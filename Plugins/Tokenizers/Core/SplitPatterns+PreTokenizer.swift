import TokenizerPatterns

extension SplitPatterns {
    /// A pre-tokenizer over bytes that cuts by each pattern in turn.
    static func preTokenizer(_ patterns: [String], in file: String) throws(TokenizerError) -> PreTokenizer {
        var steps: [PreTokenizer] = []
        for pattern in patterns { steps.append(.pattern(try Pattern(pattern, in: file), .isolated, inverted: false)) }
        return steps.count == 1 ? steps[0] : .sequence(steps)
    }
}
