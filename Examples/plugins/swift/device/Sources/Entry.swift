import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("example.slowchip", version: "0.1.0", host, error) {
        $0.device(
            "slowchip", Reference(), summary: "A device of one's own; the processor runs what it lacks",
            priority: -20)
    }
}
