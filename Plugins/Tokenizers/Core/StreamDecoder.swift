/// Makes text of tokens, one at a time, and never gives a part of a character. Decoding at once is this, in a loop.
public final class StreamDecoder {
    private let tokenizer: TextTokenizer
    private let skipsSpecial: Bool
    private var isFirst = true
    private var lastPiece: [UInt8] = []
    private var owesSpace = false
    private var text = CharacterGate()
    private var edges: EdgeStripper

    package init(_ tokenizer: TextTokenizer, skipsSpecial: Bool) {
        self.tokenizer = tokenizer
        self.skipsSpecial = skipsSpecial
        edges = EdgeStripper(tokenizer.decoder)
    }

    /// The text that `id` completes. An id without a piece gives none.
    public func push(_ id: Int32) -> [UInt8] {
        var out: [UInt8] = []
        push(id, to: &out)
        return out
    }

    /// What is left: incomplete characters as U+FFFD.
    public func finish() -> [UInt8] {
        var out: [UInt8] = []
        finish(to: &out)
        return out
    }

    func push(_ id: Int32, to out: inout [UInt8]) {
        if skipsSpecial, tokenizer.isSpecial(id) { return }
        if tokenizer.decodesPlainly {
            guard let bytes = tokenizer.rawPiece(id) else { return }
            text.push(bytes, to: &out)
            return
        }
        guard let bytes = tokenizer.rawPiece(id) else { return }
        var piece = Array(bytes)
        var isByte = false
        steps: for step in tokenizer.decoder {
            switch step {
            case .byteAlphabet:
                var raw: [UInt8] = []
                if piece.withUnsafeBufferPointer({ ByteAlphabet.appendBytes(of: $0, to: &raw) }) { piece = raw }
            case .replace(let old, let new): ByteSearch.replace(&piece, old, with: new)
            case .byteFallback:
                if let byte = piece.withUnsafeBufferPointer({ ByteFallback.byte($0) }) {
                    piece = [byte]
                    isByte = true
                }
            case .fuse: break steps
            case .strip(let content, let start, let stop):
                EdgeStripper.strip(&piece, content, start: start, stop: stop)
            case .metaspace(let mark, let dropsFirst):
                ByteSearch.replace(&piece, mark, with: isFirst && dropsFirst ? [] : [0x20])
            case .spaced:
                if !isFirst { piece.insert(0x20, at: 0) }
            case .wordPiece(let prefix, let cleansUp):
                if !isFirst {
                    if piece.starts(with: prefix) {
                        piece.removeFirst(prefix.count)
                    } else {
                        piece.insert(0x20, at: 0)
                    }
                }
                if cleansUp { DecodeStep.cleanUp(&piece) }
            case .wordEnd(let suffix):
                let ends = piece.count >= suffix.count && piece.suffix(suffix.count).elementsEqual(suffix)
                if ends { piece.removeLast(suffix.count) }
                if owesSpace { piece.insert(0x20, at: 0) }
                owesSpace = ends
            case .ctc(let pad, let delimiter, let cleansUp):
                let repeated = !isFirst && piece == lastPiece
                lastPiece = piece
                ByteSearch.replace(&piece, pad, with: [])
                if cleansUp {
                    DecodeStep.cleanUp(&piece)
                    ByteSearch.replace(&piece, delimiter, with: [0x20])
                }
                if repeated { piece = [] }
            }
        }
        isFirst = false
        emit(piece, isByte: isByte, to: &out)
    }

    private func emit(_ piece: [UInt8], isByte: Bool, to out: inout [UInt8]) {
        guard !edges.isIdle else {
            piece.withUnsafeBufferPointer { text.push($0, isByte: isByte, to: &out) }
            return
        }
        var plain: [UInt8] = []
        piece.withUnsafeBufferPointer { text.push($0, isByte: isByte, to: &plain) }
        edges.push(plain, to: &out)
    }

    func finish(to out: inout [UInt8]) {
        if edges.isIdle { return text.finish(to: &out) }
        var plain: [UInt8] = []
        text.finish(to: &plain)
        edges.push(plain, to: &out)
    }
}

/// Lets whole characters through and keeps the beginning of one until the rest of it comes.
struct CharacterGate {
    private var pending: [UInt8] = []
    /// The pending bytes came one by one, as byte pieces: each that is no part of a character becomes a U+FFFD.
    private var isBytewise = false

    mutating func push(_ bytes: UnsafeBufferPointer<UInt8>, isByte: Bool = false, to out: inout [UInt8]) {
        if pending.isEmpty, UTF8Text.isValid(bytes) {
            out.append(contentsOf: bytes)
            return
        }
        if isByte != isBytewise, !pending.isEmpty { finish(to: &out) }
        isBytewise = isByte
        pending.append(contentsOf: bytes)
        let used = pending.withUnsafeBufferPointer { bytes in
            var at = 0
            while at < bytes.count {
                let length = UTF8Text.sequenceLength(bytes, at: at)
                if length < 0 { break }
                if length > 0 {
                    out.append(contentsOf: bytes[at..<(at + length)])
                    at += length
                } else {
                    out.append(contentsOf: UTF8Text.replacement)
                    at += isByte ? 1 : Self.illFormedCount(bytes, at)
                }
            }
            return at
        }
        pending.removeFirst(used)
    }

    mutating func finish(to out: inout [UInt8]) {
        if pending.isEmpty { return }
        // What waits is one well-formed beginning.
        for _ in 0..<(isBytewise ? pending.count : 1) { out.append(contentsOf: UTF8Text.replacement) }
        pending.removeAll()
    }

    /// The length of the maximal subpart at `at`.
    private static func illFormedCount(_ bytes: UnsafeBufferPointer<UInt8>, _ at: Int) -> Int {
        var count = 1
        while at + count < bytes.count, count < 3,
            UTF8Text.sequenceLength(UnsafeBufferPointer(rebasing: bytes[at...(at + count)]), at: 0) < 0
        {
            count += 1
        }
        return count
    }
}

/// Strips what stands at the two ends of the whole text, as the `Strip` after a `Fuse` says.
struct EdgeStripper {
    private var content: [UInt8] = []
    private var left = 0
    private let right: Int
    /// Characters that are dropped if nothing follows them.
    private var held = 0

    init(_ steps: [DecodeStep]) {
        var stop = 0
        if let fuse = steps.firstIndex(of: .fuse) {
            for case .strip(let content, let start, let end) in steps[fuse...] {
                self.content = content
                left = start
                stop = end
            }
        }
        right = content.isEmpty ? 0 : stop
        if content.isEmpty { left = 0 }
    }

    var isIdle: Bool { left == 0 && right == 0 }

    mutating func push(_ text: [UInt8], to out: inout [UInt8]) {
        var rest = text[...]
        while left > 0, !rest.isEmpty {
            guard rest.starts(with: content) else {
                left = 0
                break
            }
            rest.removeFirst(content.count)
            left -= 1
        }
        guard right > 0 else {
            out.append(contentsOf: rest)
            return
        }
        if rest.isEmpty { return }
        var trailing = 0
        var body = rest
        while body.suffix(content.count).elementsEqual(content), !body.isEmpty {
            body.removeLast(content.count)
            trailing += 1
        }
        if body.isEmpty {
            held += trailing
        } else {
            for _ in 0..<held { out.append(contentsOf: content) }
            out.append(contentsOf: body)
            held = trailing
        }
        while held > right {
            out.append(contentsOf: content)
            held -= 1
        }
    }

    static func strip(_ piece: inout [UInt8], _ content: [UInt8], start: Int, stop: Int) {
        if content.isEmpty { return }
        var piecePart = piece[...]
        for _ in 0..<max(0, min(start, piece.count)) where piecePart.starts(with: content) {
            piecePart.removeFirst(content.count)
        }
        for _ in 0..<max(0, min(stop, piece.count)) where piecePart.count >= content.count {
            if piecePart.suffix(content.count).elementsEqual(content) { piecePart.removeLast(content.count) }
        }
        piece = Array(piecePart)
    }
}
