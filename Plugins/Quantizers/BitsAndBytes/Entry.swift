import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.quantizers.bitsandbytes", version: "0.1.0", host, error) {
        $0.quantizer("bnb", BitsAndBytes.self, summary: "NF4 and FP4 of bitsandbytes, with double quantization")
    }
}
