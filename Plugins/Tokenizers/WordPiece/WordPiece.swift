public import TokenizerCore

/// WordPiece, BERT's tokenizer, and vocabularies of whole words.
public final class WordPiece: PluginTokenizer {
    public let core: OpenTokenizer
    public init(core: OpenTokenizer) { self.core = core }

    public static func score(_ format: SourceFormat) -> Int {
        switch format.format {
        case .json(model: "WordPiece", usesBytes: _), .json(model: "WordLevel", usesBytes: _): 100
        case .gguf("bert"): 100
        case .wordList: 80
        default: 0
        }
    }
}
