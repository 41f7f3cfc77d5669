import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.losses.dpo", version: "0.1.0", host, error) {
        $0.alignment("dpo", DPO.self, summary: "Direct preference optimisation and its variants")
    }
}
