import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.qwen2", version: "0.1.0", host, error) {
        $0.model("qwen2", Qwen2.self, summary: "Qwen 1.5, 2 and 2.5")
    }
}
