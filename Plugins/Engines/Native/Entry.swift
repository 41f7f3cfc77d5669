import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.engines.native", version: "0.1.0", host, error) {
        $0.engine("native", NativeEngine.self, summary: "Paged cache, shared prefixes, prefill and decode in one step")
    }
}
