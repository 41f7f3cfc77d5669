import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.gpt2", version: "0.1.0", host, error) {
        $0.model("gpt2", GPT2.self, summary: "GPT-2")
    }
}
