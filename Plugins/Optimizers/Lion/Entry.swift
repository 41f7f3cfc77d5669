import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.optimizers.lion", version: "0.1.0", host, error) {
        $0.optimizer("lion", Lion.self, summary: "Lion: the sign of an interpolated momentum")
    }
}
