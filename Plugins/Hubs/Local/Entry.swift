import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.hubs.local", version: "0.1.0", host, error) {
        $0.hub("local", Local.self, summary: "Directories and files of this machine")
    }
}
