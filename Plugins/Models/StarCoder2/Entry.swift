import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.starcoder2", version: "0.1.0", host, error) {
        $0.model("starcoder2", StarCoder2.self, summary: "StarCoder 2")
    }
}
