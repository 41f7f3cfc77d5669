import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("example.tinylm", version: "0.1.0", host, error) {
        $0.model("tinylm", TinyLM.self, summary: "A small decoder")
    }
}
