/// A token that is looked for in the text itself, before the model sees what is left.
package struct AddedToken: Sendable, Equatable {
    package var content: [UInt8]
    package var id: Int32
    /// A control token: found only where special tokens are parsed, left out of decoded text where asked.
    package var isSpecial = false
    /// Takes the white space on its left, on its right, with it.
    var stripsLeft = false
    var stripsRight = false
    /// Is found only where no word character touches it.
    var isSingleWord = false
    /// Is looked for in the normalized text, in its own normalized form.
    var isNormalized = false
}

/// Finds added tokens: the leftmost, and of those the longest.
struct AddedTokens: Sendable {
    /// A stretch of plain text, or a token.
    enum Segment: Equatable {
        case text(Range<Int>)
        case token(Int32)
    }

    private(set) var tokens: [AddedToken] = []
    private var trie = ByteTrie()
    /// Which bytes begin a token.
    private var begins = [Bool](repeating: false, count: 256)

    var isEmpty: Bool { tokens.isEmpty }

    mutating func add(_ token: AddedToken, spelled content: [UInt8]) throws(TokenizerError) {
        guard let first = content.first else { return }
        guard content.count <= Limits.addedTokenBytes else {
            throw TokenizerError(
                .tooLarge,
                "the added token \(token.id) has \(content.count) bytes; at most \(Limits.addedTokenBytes) are taken",
                in: "added tokens")
        }
        try trie.insert(content, Int32(tokens.count))
        tokens.append(token)
        begins[Int(first)] = true
    }

    /// Cuts `text` at the tokens in it.
    func segments(_ text: [UInt8], parsesSpecial: Bool) -> [Segment] {
        if tokens.isEmpty || text.isEmpty { return text.isEmpty ? [] : [.text(0..<text.count)] }
        var out: [Segment] = []
        var done = 0
        text.withUnsafeBufferPointer { text in
            begins.withUnsafeBufferPointer { begins in
                var at = 0
                while at < text.count {
                    guard begins[Int(text[at])], let found = trie.longestMatch(text, from: at) else {
                        at &+= 1
                        continue
                    }
                    let token = tokens[Int(found.value)]
                    let taken = at..<found.end
                    at = found.end
                    if token.isSpecial, !parsesSpecial { continue }
                    if token.isSingleWord, Self.touchesWord(text, taken) { continue }
                    // A token before this one may have taken the white space that this one begins with.
                    if taken.lowerBound < done { continue }
                    var (start, end) = (taken.lowerBound, taken.upperBound)
                    if token.stripsLeft { start = max(done, Self.spaceStart(text, before: start)) }
                    if token.stripsRight { end = Self.spaceEnd(text, from: end) }
                    if start > done { out.append(.text(done..<start)) }
                    out.append(.token(token.id))
                    done = end
                    at = max(at, end)
                }
            }
            if done < text.count { out.append(.text(done..<text.count)) }
        }
        return out
    }

    private static func scalarBefore(_ text: UnsafeBufferPointer<UInt8>, _ end: Int) -> (value: UInt32, start: Int)? {
        guard end > 0 else { return nil }
        var at = end - 1
        while at > 0, text[at] & 0xC0 == 0x80 { at -= 1 }
        return (UTF8Text.scalar(text, at: at).value, at)
    }

    private static func touchesWord(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> Bool {
        if let before = scalarBefore(text, range.lowerBound), CharacterClass.isWord(before.value) { return true }
        return range.upperBound < text.count && CharacterClass.isWord(UTF8Text.scalar(text, at: range.upperBound).value)
    }

    private static func spaceStart(_ text: UnsafeBufferPointer<UInt8>, before end: Int) -> Int {
        var at = end
        while let before = scalarBefore(text, at), CharacterClass.isWhitespace(before.value) { at = before.start }
        return at
    }

    private static func spaceEnd(_ text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var at = start
        while at < text.count {
            let (scalar, length) = UTF8Text.scalar(text, at: at)
            if !CharacterClass.isWhitespace(scalar) { break }
            at += length
        }
        return at
    }
}
