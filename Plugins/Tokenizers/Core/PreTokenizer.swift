/// How a text is cut into words before the model sees it; the kinds are those of tokenizer.json.
indirect enum PreTokenizer: Sendable {
    /// What becomes of the parts that a splitter matched.
    enum Behavior: String, Sendable {
        case removed = "Removed", isolated = "Isolated", mergedWithPrevious = "MergedWithPrevious"
        case mergedWithNext = "MergedWithNext", contiguous = "Contiguous"
    }
    enum Prepend: String, Sendable { case always, first, never }
    enum Class: Sendable { case whitespace, numeric, punctuation, bertPunctuation }

    case sequence([PreTokenizer])
    case pattern(Pattern, Behavior, inverted: Bool)
    case literal([UInt8], Behavior, inverted: Bool)
    case characters(Class, Behavior)
    /// Runs of word characters and runs of what is neither word nor white space.
    case words
    case metaspace([UInt8], Prepend, splits: Bool)
    /// GPT-2's: a space before the text where asked for, its pattern, and its alphabet where the vocabulary is spelled in
    /// it (elsewhere the vocabulary holds the bytes themselves and the text needs no spelling).
    case byteLevel(addsSpace: Bool, pattern: Pattern?, spells: Bool)
    case fixedLength(Int)

    /// - Parameter isFirst: whether the text begins with the first of these words.
    func apply(_ words: inout WordList, isFirst: Bool, _ matcher: Matcher) throws(TokenizerError) {
        switch self {
        case .sequence(let steps):
            for step in steps { try step.apply(&words, isFirst: isFirst, matcher) }
        case .pattern(let pattern, let behavior, let inverted):
            try split(&words, behavior, inverted) { text, range, found throws(TokenizerError) in
                try pattern.forEachMatch(in: text, range, with: matcher, found)
            }
        case .literal(let literal, let behavior, let inverted):
            try split(&words, behavior, inverted) { text, range, found in Self.find(literal, text, range, found) }
        case .characters(let kind, let behavior):
            try split(&words, behavior, false) { text, range, found in
                Self.forEachScalar(text, range) { if kind.contains($0) { found($1, $2) } }
            }
        case .words:
            try split(&words, .removed, true) { text, range, found in Self.findWords(text, range, found) }
        case .metaspace(let mark, let prepend, let splits):
            Self.metaspace(&words, mark, prepend, isFirst: isFirst)
            if splits {
                try PreTokenizer.literal(mark, .mergedWithNext, inverted: false).apply(
                    &words, isFirst: isFirst, matcher)
            }
        case .byteLevel(let addsSpace, let pattern, let spells):
            if addsSpace {
                Self.rewrite(&words) { text, out in
                    if text.first != 0x20 { out.append(0x20) }
                    out.append(contentsOf: text)
                }
            }
            if let pattern {
                try PreTokenizer.pattern(pattern, .isolated, inverted: false).apply(&words, isFirst: isFirst, matcher)
            }
            if spells { Self.rewrite(&words) { $1.append(contentsOf: ByteAlphabet.spelled($0)) } }
        case .fixedLength(let length):
            try split(&words, .isolated, false) { text, range, found in
                var start = range.lowerBound
                var count = 0
                Self.forEachScalar(text, range) { _, _, end in
                    count += 1
                    if count == length {
                        found(start, end)
                        start = end
                        count = 0
                    }
                }
            }
        }
    }

    private typealias Found = (Int, Int) -> Void

    /// Cuts each word at the matches that `matches` reports, left to right.
    @inline(__always)
    private func split(
        _ words: inout WordList, _ behavior: Behavior, _ inverted: Bool,
        _ matches: (UnsafeBufferPointer<UInt8>, Range<Int>, Found) throws(TokenizerError) -> Void
    ) throws(TokenizerError) {
        let old = words.ranges
        words.ranges.removeAll(keepingCapacity: true)
        words.ranges.reserveCapacity(old.count)
        var parts = Parts(behavior)
        swap(&parts.ranges, &words.ranges)
        let result = words.text.withUnsafeBufferPointer { text in
            Result { () throws(TokenizerError) in
                for range in old {
                    var at = range.lowerBound
                    parts.begin()
                    try matches(text, range) { start, end in
                        if start > at { parts.add(at, start, isMatch: inverted) }
                        parts.add(start, end, isMatch: !inverted)
                        at = end
                    }
                    if at < range.upperBound { parts.add(at, range.upperBound, isMatch: inverted) }
                }
            }
        }
        swap(&parts.ranges, &words.ranges)
        try result.get()
    }

    private static func find(
        _ literal: [UInt8], _ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ found: Found
    ) {
        guard let first = literal.first else { return }
        var at = range.lowerBound
        while at + literal.count <= range.upperBound {
            if text[at] == first, text[at..<(at + literal.count)].elementsEqual(literal) {
                found(at, at + literal.count)
                at += literal.count
            } else {
                at += 1
            }
        }
    }

    @inline(__always)
    private static func forEachScalar(
        _ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ body: (UInt32, Int, Int) -> Void
    ) {
        var at = range.lowerBound
        while at < range.upperBound {
            let (scalar, length) = UTF8Text.scalar(text, at: at)
            body(scalar, at, at + length)
            at += length
        }
    }

    private static func findWords(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ found: Found) {
        var start = range.lowerBound
        var kind = 0
        forEachScalar(text, range) { scalar, at, _ in
            let next = CharacterClass.isWord(scalar) ? 1 : CharacterClass.isWhitespace(scalar) ? 0 : 2
            if next == kind { return }
            if kind != 0 { found(start, at) }
            start = at
            kind = next
        }
        if kind != 0 { found(start, range.upperBound) }
    }

    private static func metaspace(_ words: inout WordList, _ mark: [UInt8], _ prepend: Prepend, isFirst: Bool) {
        var index = 0
        rewrite(&words) { text, out in
            let begins = text.starts(with: mark) || text.first == 0x20
            let prepends = prepend == .always || prepend == .first && isFirst && index == 0
            if prepends, !begins { out.append(contentsOf: mark) }
            for byte in text {
                if byte == 0x20 { out.append(contentsOf: mark) } else { out.append(byte) }
            }
            index += 1
        }
    }

    /// Writes each word anew.
    private static func rewrite(_ words: inout WordList, _ write: (ArraySlice<UInt8>, inout [UInt8]) -> Void) {
        var out: [UInt8] = []
        out.reserveCapacity(words.text.count + words.text.count / 4)
        for index in words.ranges.indices {
            let start = out.count
            write(words.text[words.ranges[index]], &out)
            words.ranges[index] = start..<out.count
        }
        words.text = out
    }
}

extension PreTokenizer.Class {
    func contains(_ scalar: UInt32) -> Bool {
        switch self {
        case .whitespace: CharacterClass.isWhitespace(scalar)
        case .numeric: CharacterClass.isNumeric(scalar)
        case .punctuation, .bertPunctuation: CharacterClass.isBERTPunctuation(scalar)
        }
    }
}

/// The parts of one word, joined or dropped as the behaviour says.
private struct Parts {
    let behavior: PreTokenizer.Behavior
    var ranges: [Range<Int>] = []
    private var start = 0
    private var lastWasMatch = false

    init(_ behavior: PreTokenizer.Behavior) { self.behavior = behavior }

    mutating func begin() {
        start = ranges.count
        lastWasMatch = false
    }

    @inline(__always)
    mutating func add(_ lower: Int, _ upper: Int, isMatch: Bool) {
        switch behavior {
        case .isolated:
            ranges.append(lower..<upper)
        case .removed:
            if !isMatch { ranges.append(lower..<upper) }
        case .contiguous:
            if ranges.count > start, lastWasMatch == isMatch { extend(to: upper) } else { ranges.append(lower..<upper) }
        case .mergedWithPrevious:
            if isMatch, !lastWasMatch, ranges.count > start { extend(to: upper) } else { ranges.append(lower..<upper) }
        case .mergedWithNext:
            if !isMatch, lastWasMatch { extend(to: upper) } else { ranges.append(lower..<upper) }
        }
        lastWasMatch = isMatch
    }

    private mutating func extend(to upper: Int) {
        ranges[ranges.count - 1] = ranges[ranges.count - 1].lowerBound..<upper
    }

}
