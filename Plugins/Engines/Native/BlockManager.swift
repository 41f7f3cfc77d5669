/// The blocks of the cache: counted references, and the contents of full blocks by name, so that sequences which begin
/// alike share them.
///
/// A full block is known by its tokens and the name of the block before it. Names are numbers that are never given twice,
/// so equal keys mean equal tokens from the first position on: nothing rests on a hash being free of collisions.
/// A block that nobody uses stays findable until its memory is needed, the longest unused first.
struct BlockManager {
    private struct Key: Hashable {
        let before: UInt64
        /// Only of first blocks.
        let salt: String
        /// Keys are those of long sequences, where these differ. Only of first blocks.
        let isLong: Bool
        let tokens: [Int32]
    }

    let blockSize: Int
    let count: Int
    private var references: [Int]
    private var keys: [Key?]
    private var names: [UInt64]
    private var found: [Key: Int] = [:]
    private var lastName: UInt64 = 0
    private let shares: Bool

    // Unused blocks as a ring in the order in which they became unused; `count` is its head.
    private var next: [Int]
    private var previous: [Int]
    private(set) var freeCount: Int

    init(count: Int, blockSize: Int, shares: Bool) {
        self.count = count
        self.blockSize = blockSize
        self.shares = shares
        references = Array(repeating: 0, count: count)
        keys = Array(repeating: nil, count: count)
        names = Array(repeating: 0, count: count)
        next = (0...count).map { $0 == count ? 0 : $0 + 1 }
        previous = (0...count).map { $0 == 0 ? count : $0 - 1 }
        freeCount = count
    }

    func blocks(for tokens: Int) -> Int { (tokens + blockSize - 1) / blockSize }

    // MARK: Sharing

    /// Gives a sequence that has no blocks the cached blocks that it begins with. At least its last token is left to run.
    mutating func adopt(_ sequence: GenerationSequence) {
        guard shares, sequence.blocks.isEmpty, isSharable(sequence) else { return }
        while (sequence.named + 1) * blockSize < sequence.tokens.count {
            guard let block = found[key(sequence)] else { break }
            if references[block] == 0 { unlink(block) }
            references[block] += 1
            sequence.blocks.append(block)
            sequence.lastName = names[block]
            sequence.named += 1
        }
        sequence.computed = sequence.named * blockSize
    }

    /// Offers the blocks that the sequence has filled to others.
    mutating func offer(_ sequence: GenerationSequence) {
        guard shares, isSharable(sequence) else { return }
        while (sequence.named + 1) * blockSize <= sequence.computed, let block = sequence.blocks[sequence.named] {
            let key = key(sequence)
            if let same = found[key] {
                // Another sequence computed the same in the meantime; its block stays the one that is found.
                sequence.lastName = names[same]
            } else {
                lastName += 1
                found[key] = block
                keys[block] = key
                names[block] = lastName
                sequence.lastName = lastName
            }
            sequence.named += 1
        }
    }

    /// Whether others of the same beginning have the same keys.
    private func isSharable(_ sequence: GenerationSequence) -> Bool {
        !sequence.isLong || sequence.growth?.rule == .exchange
    }

    /// The key of the sequence's next block to be named.
    private func key(_ sequence: GenerationSequence) -> Key {
        let start = sequence.named * blockSize
        return Key(
            before: sequence.lastName, salt: start == 0 ? sequence.salt : "", isLong: start == 0 && sequence.isLong,
            tokens: Array(sequence.tokens[start..<start + blockSize]))
    }

    // MARK: Taking and giving back

    /// Extends the sequence's blocks to hold `tokens` tokens; false, changing nothing, when there are not enough.
    mutating func extend(_ sequence: GenerationSequence, to tokens: Int) -> Bool {
        let missing = blocks(for: tokens) - sequence.blocks.count
        guard missing <= freeCount else { return false }
        for _ in 0..<max(0, missing) {
            let block = next[count]
            unlink(block)
            forget(block)
            references[block] = 1
            sequence.blocks.append(block)
        }
        return true
    }

    /// Takes all blocks back. Later ones are reused first: they are of no use without the earlier ones.
    mutating func release(_ sequence: GenerationSequence) {
        for block in sequence.blocks.reversed() { if let block { drop(block) } }
        sequence.blocks = []
    }

    /// Takes back the blocks whose positions no later token sees through a window of `window` positions.
    mutating func slide(_ sequence: GenerationSequence, window: Int) {
        // The next token, at position `computed`, sees positions above computed - window.
        let passed = max(0, sequence.computed - window + 1) / blockSize
        for index in (0..<min(passed, sequence.blocks.count)).reversed() {
            guard let block = sequence.blocks[index] else { break }
            drop(block)
            sequence.blocks[index] = nil
        }
    }

    private mutating func drop(_ block: Int) {
        references[block] -= 1
        if references[block] > 0 { return }
        // Blocks with nothing to find go to the front.
        let before = keys[block] == nil ? count : previous[count]
        let after = next[before]
        (next[before], previous[block], next[block], previous[after]) = (block, before, after, block)
        freeCount += 1
    }

    private mutating func unlink(_ block: Int) {
        next[previous[block]] = next[block]
        previous[next[block]] = previous[block]
        freeCount -= 1
    }

    private mutating func forget(_ block: Int) {
        if let key = keys[block] { found[key] = nil }
        keys[block] = nil
    }
}
