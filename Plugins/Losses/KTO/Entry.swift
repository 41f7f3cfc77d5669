import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.losses.kto", version: "0.1.0", host, error) {
        $0.alignment("kto", KTO.self, summary: "Kahneman-Tversky optimisation over single answers with a label")
    }
}
