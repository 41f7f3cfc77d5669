public import TokenizerCore

/// Rank files in tiktoken's form, and tekken.json: Qwen 1, Llama 3 and 4, cl100k, o200k, Whisper, Mistral NeMo.
public final class Tiktoken: PluginTokenizer {
    public let core: OpenTokenizer
    public init(core: OpenTokenizer) { self.core = core }

    public static func score(_ format: SourceFormat) -> Int {
        switch format.format {
        case .tiktoken, .tekken: 100
        default: 0
        }
    }
}
