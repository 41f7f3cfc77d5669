import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.cohere", version: "0.1.0", host, error) {
        $0.model("cohere", Cohere.self, summary: "Command R and Command R7B")
    }
}
