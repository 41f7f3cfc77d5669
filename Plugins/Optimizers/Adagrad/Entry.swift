import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.optimizers.adagrad", version: "0.1.0", host, error) {
        $0.optimizer("adagrad", Adagrad.self, summary: "Rates by the sum of squared gradients")
    }
}
