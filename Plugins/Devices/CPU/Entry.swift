import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.devices.cpu", version: "0.1.0", host, error) {
        $0.device("cpu", CPU(), summary: "Processor cores: AVX-512 with BF16 and VNNI, AVX2, portable C")
    }
}
