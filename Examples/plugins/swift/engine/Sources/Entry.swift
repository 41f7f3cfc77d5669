import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("example.ownengine", version: "0.1.0", host, error) {
        $0.engine("ownengine", NativeEngine.self, summary: "An inference engine of one's own")
    }
}
