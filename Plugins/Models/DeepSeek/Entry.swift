import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.deepseek", version: "0.1.0", host, error) {
        $0.model("deepseek", DeepSeek.self, summary: "DeepSeek V2, V3 and R1")
    }
}
