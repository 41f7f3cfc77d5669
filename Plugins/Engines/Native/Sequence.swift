import PluginKit

/// One request on its way: its tokens, and where their keys and values lie.
final class GenerationSequence {
    let id: UInt64
    let salt: String
    let sampling: SamplingSettings
    let promptCount: Int
    /// Tokens that it may have at most.
    let limit: Int
    /// How its keys depend on its length, if they do.
    let growth: LengthGrowth?
    /// Prompt, then what was generated.
    private(set) var tokens: [Int32]
    /// Tokens whose keys and values are in the cache.
    var computed = 0
    /// Tokens that were found in the cache when it was admitted first.
    var reused = 0
    /// Cache blocks in order; nil where all positions have left the attention window.
    var blocks: [Int?] = []
    /// How many of the blocks are offered to others, and the last one's name.
    var named = 0
    var lastName: UInt64 = 0
    /// How often each token was generated, kept when a penalty asks for it.
    private(set) var counts: [Int32: Int] = [:]

    init(id: UInt64, request: EngineRequest, sampling: SamplingSettings, limit: Int, growth: LengthGrowth? = nil) {
        self.id = id
        self.sampling = sampling
        self.limit = limit
        self.growth = growth
        salt = request.salt
        tokens = request.prompt
        promptCount = request.prompt.count
    }

    /// Tokens that still have to run through the model.
    var left: Int { tokens.count - computed }
    var generatedCount: Int { tokens.count - promptCount }

    /// The length that its rotations go by.
    var length: Int { growth?.rule == .prompt ? promptCount : tokens.count }
    /// Past the length from which keys depend on it.
    var isLong: Bool { growth.map { length > $0.start } ?? false }

    func append(_ token: Int32) {
        tokens.append(token)
        if sampling.countsTokens { counts[token, default: 0] += 1 }
    }

    /// Whether it was long when it ran last.
    private var wasLong = false

    /// Notes its length; true when what the cache holds of it was made for a shorter one, and is of no use any more.
    func outgrows() -> Bool {
        defer { wasLong = isLong }
        return growth?.rule == .exchange && isLong && !wasLong && computed > 0
    }

    /// Forgets what the cache holds of it: it starts over, with what it generated as part of its prompt.
    func restart() {
        computed = 0
        blocks = []
        named = 0
        lastName = 0
    }
}
