import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.qwen3", version: "0.1.0", host, error) {
        $0.model("qwen3", Qwen3.self, summary: "Qwen 3 and its embedding models")
    }
}
