import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("example.rescale", version: "0.1.0", host, error) {
        $0.tuner("rescale", Rescale.self, summary: "Trains one factor for each output of a linear weight")
    }
}
