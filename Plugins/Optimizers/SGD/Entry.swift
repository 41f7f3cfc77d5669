import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.optimizers.sgd", version: "0.1.0", host, error) {
        $0.optimizer("sgd", SGD.self, summary: "Gradient descent with momentum and Nesterov's form")
    }
}
