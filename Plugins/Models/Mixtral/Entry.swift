import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.mixtral", version: "0.1.0", host, error) {
        $0.model("mixtral", Mixtral.self, summary: "Mixtral 8x7B and 8x22B")
    }
}
