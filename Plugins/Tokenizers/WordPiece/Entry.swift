import PluginKit

/// The one symbol that this library exports.
@_cdecl("martlet_plugin_entry")
public func martletPluginEntry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.tokenizers.wordpiece", version: "0.1.0", host, error) {
        $0.tokenizer("wordpiece", WordPiece.self, summary: "WordPiece and whole words: tokenizer.json, vocab.txt, GGUF")
    }
}
