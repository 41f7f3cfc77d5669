/// The published patterns by which models cut text into words, and the names by which GGUF files call them
/// (`tokenizer.ggml.pre`; llama.cpp, llama-vocab.cpp). Each list is applied in order, every part on the parts before it.
package enum SplitPatterns {
    private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    private static let tail = #"\s*[\r\n]+|\s+(?!\S)|\s+"#
    /// GPT-2's pattern (openai/gpt-2, encoder.py).
    package static let gpt2 =
        #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    package static let llama3 =
        contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"# + tail
    package static let qwen2 = contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"# + tail
    package static let qwen3Next =
        contractions + #"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|"# + tail
    package static let cl100k =
        #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#
    private static let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#
    private static let lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#
    private static let edge = #"[^\r\n\p{L}\p{N}]?"#
    package static let o200k =
        "\(edge)\(upper)*\(lower)+\(contractions)?|\(edge)\(upper)+\(lower)*\(contractions)?"
        + #"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|"# + tail
    package static let tekken =
        "\(edge)\(upper)*\(lower)+|\(edge)\(upper)+\(lower)*" + #"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|"# + tail
    /// The cased letters of deepseek-llm, by code point: several of them change under normalization of this file.
    private static let deepseekLetters =
        #"\s?["#
        + #"A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}"#
        + #"\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}"#
        + #"\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}"#
        + #"\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}"#
        + #"\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}"#
        + #"\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}"#
        + #"\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}"#
        + #"\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}"#
        + #"\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}"#
        + #"\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}"#
        + #"\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}"#
        + #"\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}"#
        + #"\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}"#
        + #"\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}"#
        + "]+"
    private static let cjk = "[一-龥ࠀ-一가-퟿]+"

    /// The patterns of a `pre` name, or nil where it is not known.
    package static func named(_ name: String) -> [String]? {
        switch name {
        case "default":
            [#"[\p{P}\$\+<=>\^~\|]+"#, gpt2, #"\p{N}+"#, "[0-9][0-9][0-9]"]
        case "llama3", "llama-v3", "llama-bpe", "falcon3", "pixtral", "dbrx", "smaug-bpe", "chatglm-bpe", "glm4",
            "lfm2", "jina-v5-nano":
            [llama3]
        case "qwen2", "stablelm2", "hunyuan", "megrez", "deepseek-r1-qwen", "grok-2", "solar-open":
            [qwen2]
        case "qwen35": [qwen3Next]
        case "deepseek-llm": ["[\r\n]", deepseekLetters, #"\s?[!-/:-~！-／：-～‘-‟　-。]+"#, #"\s+$"#, cjk, #"\p{N}+"#]
        case "deepseek-coder": ["[\r\n]", #"\s?\p{L}+"#, #"\s?\p{P}+"#, cjk, #"\p{N}"#]
        case "deepseek-v3", "joyai-llm":
            [
                #"\p{N}{1,3}"#, "[一-龥぀-ゟ゠-ヿ]+",
                ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##
                    + #"| ?[\p{P}\p{S}]+[\r\n]*|"# + tail,
            ]
        case "starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b": [#"\p{N}"#, gpt2]
        case "gpt-2", "phi-2", "mpt", "olmo", "jina-es", "jina-de", "jina-v1-en", "jina-v2-es", "jina-v2-de",
            "jina-v2-code", "gigachat", "roberta-bpe", "exaone4", "modern-bert", "trillion", "granite-docling",
            "a.x-4.0", "mellum", "whisper":
            [gpt2]
        case "falcon": [#"[\p{P}\$\+<=>\^~\|`]+"#, gpt2, "[0-9][0-9][0-9]"]
        case "tekken": [tekken]
        case "gpt-4o", "llama4", "kanana2", "talkie": [o200k]
        case "poro-chat", "bloom", "gpt3-finnish": [#" ?[^(\s|.,!?…。，、।۔،)]+"#]
        case "viking": [#" ?[^(\s|.,!?…。，、।۔،)]+"#, #"\p{N}"#]
        default: nil
        }
    }

    /// Names whose models take a word that is a piece whole.
    package static func ignoresMerges(_ name: String) -> Bool {
        ["llama3", "llama-v3", "llama-bpe", "falcon3", "pixtral", "tekken", "lfm2", "jina-v5-nano"].contains(name)
    }
}
