/// What is done to a text before it is cut into words; the kinds are those of tokenizer.json.
indirect enum Normalizer: Sendable {
    case sequence([Normalizer])
    case form(NormalForm)
    case lowercase
    case stripAccents
    case strip(left: Bool, right: Bool)
    case replace([UInt8], with: [UInt8])
    case replacePattern(Pattern, with: [UInt8])
    case prepend([UInt8])
    case precompiled(CharsMap)
    case bert(cleans: Bool, setsIdeographsApart: Bool, stripsAccents: Bool, lowercases: Bool)
    case nmt
    case byteAlphabet
    /// SentencePiece's own normalization, spaces and all.
    case sentencePiece(SentencePieceNormalizer)

    func apply(_ text: inout [UInt8], _ matcher: Matcher) throws(TokenizerError) {
        switch self {
        case .sequence(let steps): for step in steps { try step.apply(&text, matcher) }
        case .form(let form): form.apply(&text)
        case .lowercase: Self.map(&text) { CharacterClass.appendLowercase($0, to: &$1) }
        case .stripAccents: Self.map(&text) { if !CharacterClass.isMark($0) { UTF8Text.append($0, to: &$1) } }
        case .strip(let left, let right): Self.strip(&text, left: left, right: right)
        case .replace(let old, let new): ByteSearch.replace(&text, old, with: new)
        case .replacePattern(let pattern, let new): try Self.replace(&text, pattern, new, matcher)
        case .prepend(let prefix): if !text.isEmpty { text.insert(contentsOf: prefix, at: 0) }
        case .precompiled(let map): map.applyByGrapheme(&text)
        case .bert(let cleans, let apart, let accents, let lower):
            if cleans { Self.map(&text, Self.appendCleaned) }
            if apart { Self.map(&text, Self.appendApart) }
            if accents {
                NormalForm.nfd.apply(&text)
                Self.removeNonspacingMarks(&text)
            }
            if lower { Self.map(&text) { CharacterClass.appendLowercase($0, to: &$1) } }
        case .nmt: Self.map(&text, Self.appendNMT)
        case .byteAlphabet: text = ByteAlphabet.spelled(text)
        case .sentencePiece(let normalizer): normalizer.apply(&text)
        }
    }

    @inline(__always)
    private static func map(_ text: inout [UInt8], _ append: (UInt32, inout [UInt8]) -> Void) {
        var out: [UInt8] = []
        out.reserveCapacity(text.count)
        UTF8Text.forEachScalar(text) { append($0, &out) }
        text = out
    }

    private static func removeNonspacingMarks(_ text: inout [UInt8]) {
        map(&text) { if !CharacterClass.isNonspacingMark($0) { UTF8Text.append($0, to: &$1) } }
    }

    private static func strip(_ text: inout [UInt8], left: Bool, right: Bool) {
        text.withUnsafeBufferPointer { bytes in
            var start = 0
            var end = bytes.count
            while left, start < end {
                let (scalar, length) = UTF8Text.scalar(bytes, at: start)
                if !CharacterClass.isWhitespace(scalar) { break }
                start += length
            }
            while right, end > start {
                var at = end - 1
                while at > start, bytes[at] & 0xC0 == 0x80 { at -= 1 }
                if !CharacterClass.isWhitespace(UTF8Text.scalar(bytes, at: at).value) { break }
                end = at
            }
            return start == 0 && end == bytes.count ? nil : Array(bytes[start..<end])
        }.map { text = $0 }
    }

    private static func replace(
        _ text: inout [UInt8], _ pattern: Pattern, _ new: [UInt8], _ matcher: Matcher
    ) throws(TokenizerError) {
        var out: [UInt8] = []
        var copied = 0
        matcher.limit(forTextOf: text.count)
        let result = text.withUnsafeBufferPointer { bytes in
            Result { () throws(TokenizerError) in
                try pattern.forEachMatch(in: bytes, 0..<bytes.count, with: matcher) { start, end in
                    out.append(contentsOf: bytes[copied..<start])
                    out.append(contentsOf: new)
                    copied = end
                }
            }
        }
        try result.get()
        if copied == 0 { return }
        out.append(contentsOf: text[copied...])
        text = out
    }

    /// BERT's cleaning: no NUL, U+FFFD or control characters, and every white space a space.
    private static func appendCleaned(_ scalar: UInt32, _ out: inout [UInt8]) {
        if scalar == 0 || scalar == 0xFFFD || CharacterClass.isControl(scalar) { return }
        UTF8Text.append(CharacterClass.isWhitespace(scalar) ? 0x20 : scalar, to: &out)
    }

    private static func appendApart(_ scalar: UInt32, _ out: inout [UInt8]) {
        guard CharacterClass.isIdeograph(scalar) else { return UTF8Text.append(scalar, to: &out) }
        out.append(0x20)
        UTF8Text.append(scalar, to: &out)
        out.append(0x20)
    }

    /// The `Nmt` normalizer: some controls removed, some spaces and marks of width zero made spaces.
    private static func appendNMT(_ scalar: UInt32, _ out: inout [UInt8]) {
        switch scalar {
        case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x8F, 0x9F: return
        case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD: out.append(0x20)
        default: UTF8Text.append(scalar, to: &out)
        }
    }
}

/// Byte strings found in byte strings.
enum ByteSearch {
    /// Replaces each occurrence of `old`, left to right.
    static func replace(_ text: inout [UInt8], _ old: [UInt8], with new: [UInt8]) {
        guard let first = old.first else { return }
        var out: [UInt8] = []
        var copied = 0
        var at = 0
        while at + old.count <= text.count {
            guard text[at] == first, text[at..<(at + old.count)].elementsEqual(old) else {
                at += 1
                continue
            }
            if out.isEmpty { out.reserveCapacity(text.count + text.count / 2) }
            out.append(contentsOf: text[copied..<at])
            out.append(contentsOf: new)
            at += old.count
            copied = at
        }
        if copied == 0 { return }
        out.append(contentsOf: text[copied...])
        text = out
    }
}

/// SentencePiece's normalizer (normalizer.cc): the character map, white space folded, a space put before the text, and
/// spaces written as U+2581.
struct SentencePieceNormalizer: Sendable {
    var map: CharsMap?
    var addsDummyPrefix = true
    var removesExtraSpaces = true
    /// Put the dummy prefix after the text instead (`treat_whitespace_as_suffix`).
    var spaceIsSuffix = false
    /// Pieces that are copied as they stand.
    var userDefined = ByteTrie()

    static let space: [UInt8] = [0xE2, 0x96, 0x81]

    func apply(_ text: inout [UInt8]) {
        var plain: [UInt8] = []
        plain.reserveCapacity(text.count + 8)
        if map == nil, userDefined.isEmpty {
            plain = text
        } else {
            text.withUnsafeBufferPointer { bytes in
                var at = 0
                while at < bytes.count {
                    if !userDefined.isEmpty, let found = userDefined.longestMatch(bytes, from: at) {
                        plain.append(contentsOf: bytes[at..<found.end])
                        at = found.end
                    } else if let map {
                        at += map.appendNormalized(bytes, at: at, to: &plain)
                    } else {
                        plain.append(bytes[at])
                        at += 1
                    }
                }
            }
        }
        spaced(plain, into: &text)
    }

    private func spaced(_ plain: [UInt8], into text: inout [UInt8]) {
        text.removeAll(keepingCapacity: true)
        text.reserveCapacity(plain.count + plain.count / 2 + 8)
        var slice = plain[...]
        if removesExtraSpaces {
            slice = slice.drop { $0 == 0x20 }
            while slice.last == 0x20 { slice.removeLast() }
        }
        if slice.isEmpty { return }
        if addsDummyPrefix, !spaceIsSuffix { text.append(contentsOf: Self.space) }
        var afterSpace = false
        for byte in slice {
            if byte != 0x20 {
                text.append(byte)
            } else if !(removesExtraSpaces && afterSpace) {
                text.append(contentsOf: Self.space)
            }
            afterSpace = byte == 0x20
        }
        if removesExtraSpaces {
            // A mark of space that stood in the text itself goes as well.
            while text.count >= 3, text.suffix(3).elementsEqual(Self.space) { text.removeLast(3) }
        }
        if addsDummyPrefix, spaceIsSuffix { text.append(contentsOf: Self.space) }
    }
}
