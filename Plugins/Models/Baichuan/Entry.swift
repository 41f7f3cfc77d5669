import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.baichuan", version: "0.1.0", host, error) {
        $0.model("baichuan", Baichuan.self, summary: "Baichuan 1 and 2")
    }
}
