import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.optimizers.rmsprop", version: "0.1.0", host, error) {
        $0.optimizer("rmsprop", RMSprop.self, summary: "Rates by the mean of squared gradients")
    }
}
