import PluginKit

/// The one symbol that this library exports.
@_cdecl("martlet_plugin_entry")
public func martletPluginEntry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.tokenizers.byte-level-bpe", version: "0.1.0", host, error) {
        $0.tokenizer(
            "byte-level-bpe", ByteLevelBPE.self,
            summary: "byte-level BPE: tokenizer.json, vocab.json with merges.txt, GGUF")
    }
}
