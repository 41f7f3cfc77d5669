/// SentencePiece's precompiled character map: a Darts-clone double array from source strings to offsets into a block
/// of NUL-terminated replacements (sentencepiece, normalizer.cc, `DecodePrecompiledCharsMap`).
struct CharsMap: Sendable {
    private let units: [UInt32]
    private let replacements: [UInt8]

    init(_ blob: some Collection<UInt8>, in file: String) throws(TokenizerError) {
        let bytes = Array(blob)
        func word(_ at: Int) -> UInt32 {
            UInt32(bytes[at]) | UInt32(bytes[at + 1]) << 8 | UInt32(bytes[at + 2]) << 16 | UInt32(bytes[at + 3]) << 24
        }
        guard bytes.count >= 4, Int(word(0)) <= bytes.count - 4, word(0) % 4 == 0, word(0) > 0 else {
            throw TokenizerError(
                .malformed, "the precompiled character map has \(bytes.count) bytes and its trie does not fit in them",
                in: file)
        }
        let size = Int(word(0))
        units = stride(from: 4, to: 4 + size, by: 4).map(word)
        replacements = Array(bytes[(4 + size)...])
    }

    /// A match of the trie at `start`: the longest, or the shortest.
    /// - Returns: the bytes matched, and where the replacement stands.
    private func match(
        _ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int, longest: Bool
    ) -> (count: Int, value: Int)? {
        var best: (Int, Int)?
        var node = 0
        var unit = units[0]
        node ^= Self.offset(unit)
        var at = start
        while at < end {
            let byte = text[at]
            node ^= Int(byte)
            guard node < units.count else { break }
            unit = units[node]
            // A unit's label and its leaf mark must equal the byte that led to it.
            guard unit & (1 << 31 | 0xFF) == UInt32(byte) else { break }
            node ^= Self.offset(unit)
            at += 1
            if unit >> 8 & 1 == 1, node < units.count {
                best = (at - start, Int(units[node] & 0x7FFF_FFFF))
                if !longest { break }
            }
        }
        return best
    }

    private static func offset(_ unit: UInt32) -> Int {
        Int((unit >> 10) << ((unit & (1 << 9)) >> 6))
    }

    private func replacement(_ value: Int) -> ArraySlice<UInt8> {
        guard value < replacements.count else { return [] }
        let end = replacements[value...].firstIndex(of: 0) ?? replacements.count
        return replacements[value..<end]
    }

    /// SentencePiece's own reading: at each position the longest source string is replaced.
    /// - Returns: how many bytes were passed over.
    func appendNormalized(_ text: UnsafeBufferPointer<UInt8>, at start: Int, to out: inout [UInt8]) -> Int {
        if let found = match(text, start, text.count, longest: true) {
            out.append(contentsOf: replacement(found.value))
            return found.count
        }
        let length = UTF8Text.length(text[start])
        out.append(contentsOf: text[start..<(start + length)])
        return length
    }

    /// The reading of `Precompiled` in tokenizer.json, which differs: a grapheme cluster of fewer than six bytes that
    /// begins with a source string is replaced whole by the replacement of the shortest such; otherwise each of its
    /// characters is.
    func applyByGrapheme(_ text: inout [UInt8]) {
        var out: [UInt8] = []
        out.reserveCapacity(text.count)
        for character in String(decoding: text, as: UTF8.self) {
            let bytes = Array(character.utf8)
            if bytes.count < 6, append(bytes, 0, bytes.count, to: &out) { continue }
            var at = 0
            while at < bytes.count {
                let end = at + UTF8Text.length(bytes[at])
                if !append(bytes, at, end, to: &out) { out.append(contentsOf: bytes[at..<end]) }
                at = end
            }
        }
        text = out
    }

    private func append(_ bytes: [UInt8], _ start: Int, _ end: Int, to out: inout [UInt8]) -> Bool {
        let found = bytes.withUnsafeBufferPointer { match($0, start, end, longest: false) }
        guard let found else { return false }
        out.append(contentsOf: replacement(found.value))
        return true
    }
}
