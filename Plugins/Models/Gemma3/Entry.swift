import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.gemma3", version: "0.1.0", host, error) {
        $0.model("gemma3", Gemma3.self, summary: "Gemma 3, text")
    }
}
