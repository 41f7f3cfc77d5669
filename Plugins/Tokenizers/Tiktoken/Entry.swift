import PluginKit

/// The one symbol that this library exports.
@_cdecl("martlet_plugin_entry")
public func martletPluginEntry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.tokenizers.tiktoken", version: "0.1.0", host, error) {
        $0.tokenizer("tiktoken", Tiktoken.self, summary: "tiktoken rank files and Mistral's tekken.json")
    }
}
