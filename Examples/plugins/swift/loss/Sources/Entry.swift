import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("example.focal", version: "0.1.0", host, error) {
        $0.alignment("focal", Focal.self, summary: "Cross-entropy that dwells on what is hard")
    }
}
