import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.falcon", version: "0.1.0", host, error) {
        $0.model("falcon", Falcon.self, summary: "Falcon 7B")
    }
}
