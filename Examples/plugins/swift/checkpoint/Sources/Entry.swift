import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("example.npyfolder", version: "0.1.0", host, error) {
        $0.checkpoint("npyfolder", NpyFolder.self, summary: "A directory of NumPy arrays, NAME.npy each")
    }
}
