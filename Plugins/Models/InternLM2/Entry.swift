import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.internlm2", version: "0.1.0", host, error) {
        $0.model("internlm2", InternLM2.self, summary: "InternLM 2 and 2.5")
    }
}
