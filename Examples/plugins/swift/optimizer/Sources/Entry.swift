import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("example.signum", version: "0.1.0", host, error) {
        $0.optimizer("signum", Signum.self, summary: "The sign of the gradients' running mean, times the learning rate")
    }
}
