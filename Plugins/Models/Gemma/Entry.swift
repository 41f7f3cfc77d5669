import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.gemma", version: "0.1.0", host, error) {
        $0.model("gemma", Gemma.self, summary: "Gemma 1")
    }
}
