import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("example.absmax", version: "0.1.0", host, error) {
        $0.quantizer("absmax", Absmax.self, summary: "Eight bits a weight, blocks of 32 over their largest magnitude")
    }
}
