import PluginKit

/// The one symbol that this library exports.
@_cdecl("martlet_plugin_entry")
public func martletPluginEntry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.tokenizers.sentencepiece", version: "0.1.0", host, error) {
        $0.tokenizer(
            "sentencepiece", SentencePiece.self,
            summary: "SentencePiece BPE and unigram: tokenizer.model, tokenizer.json, GGUF")
    }
}
