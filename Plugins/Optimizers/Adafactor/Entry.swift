import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.optimizers.adafactor", version: "0.1.0", host, error) {
        $0.optimizer("adafactor", Adafactor.self, summary: "Adafactor: second moments as a product of rows and columns")
    }
}
