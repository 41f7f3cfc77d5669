import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.loggers.tensorboard", version: "0.1.0", host, error) {
        $0.logger("tensorboard", TensorBoard.self, summary: "Event files for TensorBoard")
    }
}
