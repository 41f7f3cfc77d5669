import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.loggers.plot", version: "0.1.0", host, error) {
        $0.logger("plot", Plot.self, summary: "Curves of loss and other metrics as PNG and SVG")
    }
}
