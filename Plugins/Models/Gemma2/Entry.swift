import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.gemma2", version: "0.1.0", host, error) {
        $0.model("gemma2", Gemma2.self, summary: "Gemma 2")
    }
}
