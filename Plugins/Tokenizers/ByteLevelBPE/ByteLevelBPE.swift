public import TokenizerCore

/// Byte-pair encoding over bytes, spelled in GPT-2's alphabet: GPT-2, Llama 3, Qwen, DeepSeek, StarCoder and their kin.
public final class ByteLevelBPE: PluginTokenizer {
    public let core: OpenTokenizer
    public init(core: OpenTokenizer) { self.core = core }

    public static func score(_ format: SourceFormat) -> Int {
        switch format.format {
        case .json(model: "BPE", usesBytes: true): 100
        case .gguf("gpt2"): 100
        case .vocabularyAndMerges: 90
        default: 0
        }
    }
}
