import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("example.octets", version: "0.1.0", host, error) {
        $0.tokenizer("octets", Octets.self, summary: "The bytes of UTF-8, three on, as ByT5 counts them")
    }
}
