/// What is done to pieces to make text of them; the kinds are those of tokenizer.json.
enum DecodeStep: Sendable, Equatable {
    /// Each character of GPT-2's alphabet is a byte.
    case byteAlphabet
    case replace([UInt8], with: [UInt8])
    /// The pieces <0x00> to <0xFF> are bytes.
    case byteFallback
    /// What follows is done to the whole text instead of to each piece.
    case fuse
    case strip([UInt8], start: Int, stop: Int)
    /// The mark is a space; in the first piece it is nothing where it was put there by the encoder.
    case metaspace([UInt8], dropsFirst: Bool)
    case wordPiece(prefix: [UInt8], cleansUp: Bool)
    /// A piece with the suffix ends a word.
    case wordEnd([UInt8])
    /// Pieces are joined with spaces: what a tokenizer.json without a decoder asks for.
    case spaced
    case ctc(pad: [UInt8], delimiter: [UInt8], cleansUp: Bool)

    /// What BERT's and CTC's decoders undo (transformers, `clean_up_tokenization`).
    static let cleanups: [([UInt8], [UInt8])] = [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
        (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ].map { (Array($0.0.utf8), Array($0.1.utf8)) }

    static func cleanUp(_ text: inout [UInt8]) {
        for (old, new) in cleanups { ByteSearch.replace(&text, old, with: new) }
    }
}
