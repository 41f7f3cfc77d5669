import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("example.squaredrelu", version: "0.1.0", host, error) {
        $0.op("squaredrelu", SquaredReLU.self, summary: "The square of max(x, 0)")
    }
}
