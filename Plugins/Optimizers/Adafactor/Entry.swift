import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.optimizers.adafactor", version: "0.1.0", host, error) {
        $0.optimizer("adafactor", Adafactor.self, summary: "Second moments of matrices as rows and columns")
    }
}
