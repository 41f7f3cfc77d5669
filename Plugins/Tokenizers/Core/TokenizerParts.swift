/// What the readers of the several file formats fill in, and a tokenizer is made from.
struct TokenizerParts {
    /// The model's kind, as `describe` names it: "BPE", "Unigram", "WordPiece", "WordLevel".
    var kind = "BPE"
    var pieces = PieceTable()
    /// The pieces hold the bytes themselves, where the file spells them in GPT-2's alphabet or another code.
    var piecesAreRaw = false
    var isByteAlphabet = false
    var normalizer: Normalizer?
    var preTokenizer: PreTokenizer?
    var decoder: [DecodeStep] = []
    private(set) var added: [AddedToken] = []
    private var addedPositions: [Int32: Int] = [:]
    /// Whether texts are searched for added tokens.
    var looksForAdded = true
    var specials = SpecialTokens()

    // The model's own settings.
    var units = BytePairModel.Units.scalars
    var rules: BytePairModel.Rules?
    var bytePair = BytePairModel.Options()
    var unigram = UnigramModel.Options()
    var scores: [Double] = []
    var userDefined: Set<Int> = []
    /// Ids that a segmentation may not use.
    var unused: Set<Int> = []
    var continuationPrefix = Array("##".utf8)
    var maximumWordCharacters = 100
    var unknown: Int32?

    func makeModel() throws(TokenizerError) -> TextTokenizer.Model {
        switch kind {
        case "Unigram":
            return .unigram(
                try UnigramModel(
                    pieces, scores: scores, isUsed: { !unused.contains($0) }, userDefined: userDefined, unigram))
        case "WordPiece":
            return .wordPiece(
                try WordPieceModel(
                    pieces, prefix: continuationPrefix, unknown: unknown, maximumCharacters: maximumWordCharacters))
        case "WordLevel":
            return .wordLevel(WordLevelModel(pieces, unknown: unknown))
        default:
            var options = bytePair
            options.unknown = unknown
            options.cutsAtSpaces = units == .scalars && spacesBeginPieces()
            return .bytePair(
                BytePairModel(pieces, units, rules ?? .pairs(PairMerges(expecting: 0)), options))
        }
    }

    /// Whether U+2581 stands only at the beginning of pieces, after nothing but others of its kind: then no merge
    /// reaches over the place before one, and a text may be cut there.
    private func spacesBeginPieces() -> Bool {
        for id in 0..<pieces.count {
            guard let bytes = pieces.bytes(id), bytes.count > 3 else { continue }
            var sawOther = false
            var at = 0
            while at < bytes.count {
                let isSpace =
                    at + 2 < bytes.count && bytes[at] == 0xE2 && bytes[at + 1] == 0x96 && bytes[at + 2] == 0x81
                if isSpace, sawOther { return false }
                if !isSpace { sawOther = true }
                at += isSpace ? 3 : 1
            }
        }
        return true
    }

    /// The id of a piece or added token by its text.
    func id(_ text: String) -> Int32? {
        let bytes = Array(text.utf8)
        return added.first { $0.content == bytes }?.id ?? pieces.id(of: bytes).map(Int32.init)
    }

    /// Adds a token, or changes what is known of it; its piece is set where the vocabulary has none.
    mutating func add(_ token: AddedToken) throws(TokenizerError) {
        let isAliased = piecesAreRaw && isByteAlphabet && token.content.contains { $0 >= 0x80 }
        if pieces.bytes(Int(token.id)) == nil || isAliased {
            // The model may not produce it, and its letters are not to be read as bytes.
            try pieces.set(token.content, id: Int(token.id), found: false)
        }
        if let at = addedPositions[token.id] {
            added[at] = token
        } else {
            addedPositions[token.id] = added.count
            added.append(token)
        }
    }
}
