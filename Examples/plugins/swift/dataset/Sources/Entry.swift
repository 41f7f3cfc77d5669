import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("example.qalist", version: "0.1.0", host, error) {
        $0.dataset(
            "qalist", QAList.self, summary: "Questions and answers as text: Q: … and A: … with a blank line behind")
    }
}
