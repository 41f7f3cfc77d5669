import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.qwen3-moe", version: "0.1.0", host, error) {
        $0.model("qwen3-moe", Qwen3MoE.self, summary: "Qwen 3 with experts")
    }
}
