import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.mistral", version: "0.1.0", host, error) {
        $0.model("mistral", Mistral.self, summary: "Mistral, Nemo and Ministral")
    }
}
