import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.hubs.huggingface", version: "0.1.0", host, error) {
        $0.hub("huggingface", HuggingFace.self, summary: "The Hugging Face hub and its mirrors")
    }
}
