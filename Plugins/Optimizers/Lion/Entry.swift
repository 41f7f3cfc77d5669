import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.optimizers.lion", version: "0.1.0", host, error) {
        $0.optimizer("lion", Lion.self, summary: "The sign of an interpolated momentum")
        $0.optimizer("lion_8bit", Lion8bit.self, summary: "Lion with a momentum of one byte a number")
    }
}
