import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.devices.reference", version: "0.1.0", host, error) {
        $0.device(
            "reference", Reference(),
            summary: "A device in plain Swift to start one's own from; the processor runs what it lacks",
            priority: -10)
    }
}
