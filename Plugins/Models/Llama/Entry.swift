import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.llama", version: "0.1.0", host, error) {
        $0.model("llama", Llama.self, summary: "Llama 1 to 3.x and the models that use its class")
    }
}
