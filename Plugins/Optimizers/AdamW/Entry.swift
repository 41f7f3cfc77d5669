import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.optimizers.adamw", version: "0.1.0", host, error) {
        $0.optimizer("adamw", AdamW.self, summary: "Adam with decoupled weight decay")
        $0.optimizer("adamw_8bit", AdamW8bit.self, summary: "AdamW with moments of one byte a number")
    }
}
