import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.hubs.modelscope", version: "0.1.0", host, error) {
        $0.hub("modelscope", ModelScope.self, summary: "ModelScope and its mirrors")
    }
}
