public import TokenizerCore

/// SentencePiece's two models, byte-pair encoding with byte fallback and unigram: Llama 2, Mistral, Gemma, T5, XLM-R.
public final class SentencePiece: PluginTokenizer {
    public let core: OpenTokenizer
    public init(core: OpenTokenizer) { self.core = core }

    public static func score(_ format: SourceFormat) -> Int {
        switch format.format {
        case .json(model: "BPE", usesBytes: false), .json(model: "Unigram", usesBytes: _): 100
        case .gguf("llama"), .gguf("t5"), .gguf("gemma4"): 100
        case .sentencePiece: 90
        default: 0
        }
    }
}
