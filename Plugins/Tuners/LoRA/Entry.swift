import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.tuners.lora", version: "0.1.0", host, error) {
        $0.tuner("lora", LoRA.self, summary: "LoRA, rsLoRA and DoRA")
    }
}
