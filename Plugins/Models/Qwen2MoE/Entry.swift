import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.qwen2-moe", version: "0.1.0", host, error) {
        $0.model("qwen2-moe", Qwen2MoE.self, summary: "Qwen 1.5 and 2 with experts")
    }
}
