import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.olmo2", version: "0.1.0", host, error) {
        $0.model("olmo2", OLMo2.self, summary: "OLMo 2")
    }
}
