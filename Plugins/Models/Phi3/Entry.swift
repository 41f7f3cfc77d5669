import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.phi3", version: "0.1.0", host, error) {
        $0.model("phi3", Phi3.self, summary: "Phi-3, Phi-3.5 and Phi-4-mini")
    }
}
