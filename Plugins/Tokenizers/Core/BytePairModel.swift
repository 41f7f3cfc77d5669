import Synchronization

/// Byte-pair encoding of one word: its smallest units are merged, best rank first, until no neighbours merge.
///
/// One class serves GPT-2's byte-level form, the character form with byte fallback that SentencePiece trains, and
/// tiktoken's rank files; they differ in their units and in how a merge is found.
final class BytePairModel: @unchecked Sendable {
    /// What a word is cut into at first.
    enum Units { case bytes, scalars }
    enum Rules {
        case pairs(PairMerges)
        case spans(SpanMerges)
    }
    struct Options {
        var unknown: Int32?
        var fusesUnknown = false
        var byteFallback = false
        /// A word that is a piece is taken whole, whatever the merges say.
        var ignoresMerges = false
        /// Written before every unit but a word's first, and after its last, when they are looked up.
        var continuationPrefix: [UInt8] = []
        var endSuffix: [UInt8] = []
        /// Pieces that are taken out of a word before merging and never merge (SentencePiece's user-defined symbols).
        var userDefined = ByteTrie()
        /// Words may be cut before U+2581 because no piece goes on across one.
        var cutsAtSpaces = false
    }

    private let pieces: PieceTable
    private let units: Units
    private let rules: Rules
    private let options: Options
    /// The id of each single byte as a unit, of each as a word's last unit, and of the pieces <0x00> to <0xFF>; or -1.
    private let unitIDs: [Int32]
    private let lastUnitIDs: [Int32]
    private let fallbackIDs: [Int32]
    /// For each piece: 0 not known yet, 1 its own bytes encode to it, 2 they do not. Filled as words are met.
    private let wholeness: UnsafeMutablePointer<Atomic<UInt8>>
    private static let shortWord = 160
    /// The encoder by longest matches: made when so much has been merged that its making pays; nil where it cannot be.
    private let pairwise = Mutex<Pairwise>(.unmade)
    private enum Pairwise: Sendable {
        case unmade
        case made(PairwiseEncoder?)
    }
    /// Bytes that are merged before it is made.
    private static let mergedBeforePairwise = 1 << 16

    init(_ pieces: PieceTable, _ units: Units, _ rules: Rules, _ options: Options) {
        self.pieces = pieces
        self.units = units
        self.rules = rules
        self.options = options
        func find(_ bytes: [UInt8]) -> Int32 { pieces.id(of: bytes).map(Int32.init) ?? -1 }
        unitIDs = (0..<256).map { find([UInt8($0)]) }
        lastUnitIDs = (0..<256).map { find([UInt8($0)] + options.endSuffix) }
        fallbackIDs = (0..<256).map { find(ByteFallback.piece(UInt8($0))) }
        wholeness = .allocate(capacity: max(1, pieces.count))
        for id in 0..<pieces.count { (wholeness + id).initialize(to: Atomic(0)) }
    }

    deinit { wholeness.deallocate() }

    func encode(_ word: UnsafeBufferPointer<UInt8>, _ scratch: Scratch, into out: inout [Int32]) {
        if options.cutsAtSpaces, word.count > WordCache.maximumBytes {
            var start = 0
            var at = 1
            while at < word.count {
                if word[at] == 0xE2, at &+ 2 < word.count, word[at &+ 1] == 0x96, word[at &+ 2] == 0x81,
                    !Self.endsInSpace(word, at)
                {
                    encodePart(UnsafeBufferPointer(rebasing: word[start..<at]), scratch, into: &out)
                    start = at
                }
                at &+= 1
            }
            encodePart(UnsafeBufferPointer(rebasing: word[start...]), scratch, into: &out)
        } else {
            encodePart(word, scratch, into: &out)
        }
    }

    @inline(__always)
    private static func endsInSpace(_ word: UnsafeBufferPointer<UInt8>, _ end: Int) -> Bool {
        end >= 3 && word[end - 3] == 0xE2 && word[end - 2] == 0x96 && word[end - 1] == 0x81
    }

    private func encodePart(_ word: UnsafeBufferPointer<UInt8>, _ scratch: Scratch, into out: inout [Int32]) {
        guard let base = word.baseAddress, word.count > 0 else { return }
        var whole: Int32 = -1
        if options.endSuffix.isEmpty {
            whole = pieces.find(base, word.count)
            if whole >= 0 {
                let state = options.ignoresMerges ? 1 : wholeness[Int(whole)].load(ordering: .relaxed)
                if state == 1 {
                    out.append(whole)
                    return
                }
            }
        }
        var key: UInt64?
        if word.count <= WordCache.maximumBytes {
            key = scratch.cache.append(word, to: &out)
            if key == nil { return }
        }
        let start = out.count
        merge(word, scratch, into: &out)
        if whole >= 0 {
            let isWhole = out.count == start + 1 && out[start] == whole
            wholeness[Int(whole)].store(isWhole ? 1 : 2, ordering: .relaxed)
        }
        if let key { scratch.cache.store(key, word, out[start...]) }
    }

    /// The encoder by longest matches, made now if it was not yet; nil where the vocabulary does not allow it.
    func madePairwise() -> PairwiseEncoder? {
        guard units == .bytes, options.endSuffix.isEmpty, options.continuationPrefix.isEmpty else { return nil }
        return pairwise.withLock { state in
            if case .made(let encoder) = state { return encoder }
            let encoder = PairwiseEncoder(pieces, bytes: unitIDs, rules)
            state = .made(encoder)
            return encoder
        }
    }

    private func merge(_ word: UnsafeBufferPointer<UInt8>, _ scratch: Scratch, into out: inout [Int32]) {
        if let pairwise = scratch.pairwise {
            if pairwise.encode(word, scratch.pairs, into: &out) { return }
        } else if scratch.mergedBytes <= Self.mergedBeforePairwise {
            scratch.mergedBytes += word.count
            if scratch.mergedBytes > Self.mergedBeforePairwise {
                scratch.pairwise = madePairwise()
                return merge(word, scratch, into: &out)
            }
        }
        var frozen: Set<Int32> = []
        let symbols = scratch.symbols
        symbols.reserve(word.count)
        symbols.count = 0
        switch units {
        case .bytes: cutIntoBytes(word, symbols)
        case .scalars: cutIntoScalars(word, scratch, &frozen)
        }
        symbols.starts[symbols.count] = Int32(word.count)
        switch rules {
        case .pairs(let rule): run(rule, word, symbols, frozen, into: &out)
        case .spans(let rule): run(rule, word, symbols, frozen, into: &out)
        }
    }

    private func run<Rule: MergeRule>(
        _ rule: Rule, _ word: UnsafeBufferPointer<UInt8>, _ symbols: SymbolBuffer, _ frozen: Set<Int32>,
        into out: inout [Int32]
    ) {
        if symbols.count <= Self.shortWord, frozen.isEmpty {
            mergeShort(rule, word, symbols)
        } else {
            var long = LongWordMerge(
                rule, word, ids: Array(UnsafeBufferPointer(start: symbols.ids, count: symbols.count)),
                starts: Array(UnsafeBufferPointer(start: symbols.starts, count: symbols.count + 1)))
            let left = long.run(frozen: frozen)
            symbols.count = left.ids.count
            symbols.ids.update(from: left.ids, count: left.ids.count)
            symbols.starts.update(from: left.starts, count: left.starts.count)
        }
        var lastWasUnknown = false
        for index in 0..<symbols.count {
            let id = symbols.ids[index]
            if id >= 0 {
                out.append(id)
                lastWasUnknown = false
                continue
            }
            let bytes = word[Int(symbols.starts[index])..<Int(symbols.starts[index + 1])]
            if options.byteFallback, bytes.allSatisfy({ fallbackIDs[Int($0)] >= 0 }) {
                for byte in bytes { out.append(fallbackIDs[Int(byte)]) }
                lastWasUnknown = false
            } else if let unknown = options.unknown {
                if !(options.fusesUnknown && lastWasUnknown) { out.append(unknown) }
                lastWasUnknown = true
            }
        }
    }

    /// Quadratic in the number of symbols, and the fastest there is for a few dozen of them.
    @inline(__always)
    private func mergeShort<Rule: MergeRule>(
        _ rule: Rule, _ word: UnsafeBufferPointer<UInt8>, _ symbols: SymbolBuffer
    ) {
        guard let base = word.baseAddress else { return }
        let ids = symbols.ids
        let starts = symbols.starts
        let merges = symbols.merges
        var count = symbols.count
        @inline(__always)
        func find(_ at: Int) -> Merge {
            let start = Int(starts[at])
            return rule.merge(ids[at], ids[at &+ 1], base + start, Int(starts[at &+ 2]) &- start)
        }
        var at = 0
        while at &+ 1 < count {
            merges[at] = find(at)
            at &+= 1
        }
        while count > 1 {
            var best = 0
            var least = merges[0]
            at = 1
            while at < count &- 1 {
                // Ids differ between equal ranks of a span rule, so ranks alone are compared: leftmost first.
                if merges[at].rank < least.rank {
                    least = merges[at]
                    best = at
                }
                at &+= 1
            }
            if least == .none { break }
            ids[best] = least.mergedID
            let moved = count &- best &- 2
            (ids + best + 1).update(from: ids + best + 2, count: moved)
            (starts + best + 1).update(from: starts + best + 2, count: moved &+ 1)
            if moved > 0 { (merges + best).update(from: merges + best + 1, count: moved) }
            count &-= 1
            if best > 0 { merges[best &- 1] = find(best &- 1) }
            if best &+ 1 < count { merges[best] = find(best) }
        }
        symbols.count = count
    }

    private func cutIntoBytes(_ word: UnsafeBufferPointer<UInt8>, _ symbols: SymbolBuffer) {
        unitIDs.withUnsafeBufferPointer { unitIDs in
            for at in 0..<word.count {
                symbols.ids[at] = unitIDs[Int(word[at])]
                symbols.starts[at] = Int32(truncatingIfNeeded: at)
            }
        }
        symbols.count = word.count
        if !options.endSuffix.isEmpty { symbols.ids[word.count - 1] = lastUnitIDs[Int(word[word.count - 1])] }
        if options.unknown == nil, (0..<word.count).contains(where: { symbols.ids[$0] < 0 }) {
            // A byte that the vocabulary lacks is left out, and what stands on its two sides may merge.
            var kept = 0
            for at in 0..<word.count where symbols.ids[at] >= 0 {
                symbols.ids[kept] = symbols.ids[at]
                symbols.starts[kept] = symbols.starts[at]
                kept += 1
            }
            symbols.count = kept
        }
    }

    private func cutIntoScalars(_ word: UnsafeBufferPointer<UInt8>, _ scratch: Scratch, _ frozen: inout Set<Int32>) {
        let symbols = scratch.symbols
        var fusing = false
        func add(_ id: Int32, _ start: Int) {
            symbols.ids[symbols.count] = id
            symbols.starts[symbols.count] = Int32(truncatingIfNeeded: start)
            symbols.count += 1
        }
        var at = 0
        while at < word.count {
            if !options.userDefined.isEmpty, let found = options.userDefined.longestMatch(word, from: at) {
                frozen.insert(Int32(symbols.count))
                add(found.value, at)
                at = found.end
                continue
            }
            let length = UTF8Text.length(word[at])
            let id = unitID(word, at, length, scratch)
            // SentencePiece may merge a character that is no piece itself; tokenizer.json replaces it at once.
            if case .pairs = rules, id < 0 {
                if options.byteFallback, word[at..<(at + length)].allSatisfy({ fallbackIDs[Int($0)] >= 0 }) {
                    for index in at..<(at + length) { add(fallbackIDs[Int(word[index])], index) }
                    fusing = false
                } else if let unknown = options.unknown {
                    if !(fusing && options.fusesUnknown) { add(unknown, at) }
                    fusing = true
                }
            } else {
                add(id, at)
                fusing = false
            }
            at += length
        }
    }

    @inline(__always)
    private func unitID(_ word: UnsafeBufferPointer<UInt8>, _ at: Int, _ length: Int, _ scratch: Scratch) -> Int32 {
        let hasPrefix = at > 0 && !options.continuationPrefix.isEmpty
        let hasSuffix = at + length == word.count && !options.endSuffix.isEmpty
        if !hasPrefix, !hasSuffix {
            if length == 1 { return unitIDs[Int(word[at])] }
            guard let base = word.baseAddress else { return -1 }
            return pieces.find(base + at, length)
        }
        scratch.word.removeAll(keepingCapacity: true)
        if hasPrefix { scratch.word.append(contentsOf: options.continuationPrefix) }
        scratch.word.append(contentsOf: word[at..<(at + length)])
        if hasSuffix { scratch.word.append(contentsOf: options.endSuffix) }
        return pieces.id(of: scratch.word).map(Int32.init) ?? -1
    }
}

/// The pieces `<0x00>` to `<0xFF>` that stand for single bytes.
enum ByteFallback {
    static func piece(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return Array("<0x".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)], UInt8(ascii: ">")]
    }

    /// The byte that a piece stands for, if it is one of these.
    static func byte(_ piece: UnsafeBufferPointer<UInt8>) -> UInt8? {
        guard piece.count == 6, piece[0] == UInt8(ascii: "<"), piece[1] == UInt8(ascii: "0"),
            piece[2] == UInt8(ascii: "x"), piece[5] == UInt8(ascii: ">")
        else { return nil }
        func digit(_ byte: UInt8) -> UInt8? {
            switch byte {
            case 0x30...0x39: byte - 0x30
            case 0x41...0x46: byte - 0x41 + 10
            case 0x61...0x66: byte - 0x61 + 10
            default: nil
            }
        }
        guard let high = digit(piece[3]), let low = digit(piece[4]) else { return nil }
        return high << 4 | low
    }
}
