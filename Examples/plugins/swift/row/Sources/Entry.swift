import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("example.ending", version: "0.1.0", host, error) {
        $0.filter("ending", Ending.self, summary: "Keeps answers that end a sentence")
    }
}
