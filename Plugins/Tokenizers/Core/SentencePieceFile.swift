/// Reads tokenizer.model, SentencePiece's `ModelProto` (sentencepiece, src/sentencepiece_model.proto).
enum SentencePieceFile {
    private enum PieceType { static let normal = 1, unknown = 2, control = 3, userDefined = 4, unused = 5, byte = 6 }

    static func read(_ files: TokenizerFiles, into parts: inout TokenizerParts) throws(TokenizerError) {
        guard
            let (file, bytes) = files.files.first(where: {
                $0.name.hasPrefix("tokenizer.model") || $0.name.hasSuffix(".model")
            })
        else { throw TokenizerError(.missingFile, "is not there", in: "tokenizer.model") }
        var normalizer = SentencePieceNormalizer()
        var settings = Settings()
        var scores: [Double] = []
        var reserved: Set<Int> = []
        var userDefined: [(Int, [UInt8])] = []
        parts.pieces = PieceTable(expecting: bytes.count / 16, bytes: bytes.count / 2)
        var message = ProtobufReader(bytes, in: file)
        while let field = try message.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let range)):
                let piece = try readPiece(message.message(range))
                let id = scores.count
                try parts.pieces.set(piece.text, id: id)
                scores.append(piece.score)
                switch piece.type {
                case PieceType.control, PieceType.unknown:
                    reserved.insert(id)
                    if !piece.text.isEmpty {
                        try parts.add(AddedToken(content: Array(piece.text), id: Int32(id), isSpecial: true))
                    }
                    if piece.type == PieceType.unknown { parts.unknown = Int32(id) }
                case PieceType.byte, PieceType.unused: reserved.insert(id)
                case PieceType.userDefined: userDefined.append((id, Array(piece.text)))
                default: break
                }
            case (2, .bytes(let range)): try settings.readTrainer(message.message(range))
            case (3, .bytes(let range)): try settings.readNormalizer(message.message(range), &normalizer, file)
            default: break
            }
        }
        guard !scores.isEmpty else {
            throw TokenizerError(.malformed, "has no pieces; is it a SentencePiece model?", in: file)
        }
        guard settings.model == 1 || settings.model == 2 else {
            throw TokenizerError(
                .unsupported, "trainer_spec.model_type is \(settings.model); wanted 1 (unigram) or 2 (BPE)", in: file)
        }
        for (id, text) in userDefined {
            try normalizer.userDefined.insert(text, Int32(id))
            if settings.model == 2 { try parts.bytePair.userDefined.insert(text, Int32(id)) }
        }
        normalizer.spaceIsSuffix = settings.spaceIsSuffix
        parts.normalizer = .sentencePiece(normalizer)
        parts.setSentencePiece(
            isUnigram: settings.model == 1, scores: scores, reserved: reserved, userDefined: Set(userDefined.map(\.0)),
            addsDummyPrefix: normalizer.addsDummyPrefix)
        parts.bytePair.byteFallback = settings.byteFallback
        parts.unigram.byteFallback = settings.byteFallback
        parts.unigram.unknown = parts.unknown
        for (role, id) in settings.ids where id >= 0 && id < scores.count { parts.specials[role] = Int32(id) }
        if settings.model == 2, let bos = parts.specials["bos"] {
            parts.specials.prefix = [bos]
        } else if settings.model == 1, parts.specials["bos"] == nil, let eos = parts.specials["eos"] {
            parts.specials.suffix = [eos]
        }
    }

    private static func readPiece(
        _ reader: ProtobufReader
    ) throws(TokenizerError) -> (text: UnsafeBufferPointer<UInt8>, score: Double, type: Int) {
        var reader = reader
        var text = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
        var score = 0.0
        var type = PieceType.normal
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let range)): text = reader.slice(range)
            case (2, .fixed32(let bits)):
                score = Double(Float(bitPattern: bits))
                if !score.isFinite { score = 0 }
            case (3, .varint(let value)): type = Int(truncatingIfNeeded: value)
            default: break
            }
        }
        guard UTF8Text.isValid(text) else {
            throw TokenizerError(.malformed, "a piece is not UTF-8", in: reader.file)
        }
        return (text, score, type)
    }

    private struct Settings {
        var model = 1
        var byteFallback = false
        var spaceIsSuffix = false
        var ids: [String: Int] = ["unk": 0, "bos": 1, "eos": 2, "pad": -1]

        mutating func readTrainer(_ reader: ProtobufReader) throws(TokenizerError) {
            var reader = reader
            let roles = [40: "unk", 41: "bos", 42: "eos", 43: "pad"]
            while let field = try reader.next() {
                guard case .varint(let value) = field.value else { continue }
                switch field.number {
                case 3: model = Int(truncatingIfNeeded: value)
                case 24: spaceIsSuffix = value != 0
                case 35: byteFallback = value != 0
                default: if let role = roles[field.number] { ids[role] = Int(Int32(truncatingIfNeeded: value)) }
                }
            }
        }

        func readNormalizer(
            _ reader: ProtobufReader, _ normalizer: inout SentencePieceNormalizer, _ file: String
        ) throws(TokenizerError) {
            var reader = reader
            while let field = try reader.next() {
                switch (field.number, field.value) {
                case (2, .bytes(let range)):
                    if !range.isEmpty { normalizer.map = try CharsMap(reader.slice(range), in: file) }
                case (3, .varint(let value)): normalizer.addsDummyPrefix = value != 0
                case (4, .varint(let value)): normalizer.removesExtraSpaces = value != 0
                case (5, .varint(let value)) where value == 0:
                    throw TokenizerError(
                        .unsupported, "normalizer_spec.escape_whitespaces is false, which is not known here", in: file)
                default: break
                }
            }
        }
    }
}

extension TokenizerParts {
    /// The parts that SentencePiece's two models share, from a .model file or from GGUF.
    mutating func setSentencePiece(
        isUnigram: Bool, scores: [Double], reserved: Set<Int>, userDefined: Set<Int>, addsDummyPrefix: Bool
    ) {
        let space = SentencePieceNormalizer.space
        decoder = [.replace(space, with: [0x20]), .byteFallback, .fuse]
        if addsDummyPrefix { decoder.append(.strip([0x20], start: 1, stop: 0)) }
        if isUnigram {
            kind = "Unigram"
            self.scores = scores
            self.userDefined = userDefined
            unused.formUnion(reserved)
            unigram.singlePrecision = true
            return
        }
        kind = "BPE"
        // A merge's rank is the place of its piece's score among all scores: equal scores, equal ranks.
        let places = Set(scores).sorted(by: >)
        let ranks = Dictionary(uniqueKeysWithValues: places.enumerated().map { ($1, UInt32($0)) })
        rules = .spans(
            SpanMerges(
                pieces,
                ranks: scores.indices.map { id in
                    reserved.contains(id) || userDefined.contains(id) ? .max : ranks[scores[id]] ?? .max
                }))
        bytePair.byteFallback = true
        bytePair.fusesUnknown = true
    }
}
