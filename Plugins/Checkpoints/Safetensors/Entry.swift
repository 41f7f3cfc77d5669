import PluginKit

/// The one symbol that this library exports.
@_cdecl("martlet_plugin_entry")
public func martletPluginEntry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.checkpoints.safetensors", version: "0.1.0", host, error) {
        $0.checkpoint("safetensors", Safetensors.self, summary: "safetensors, in one file or in shards with an index")
    }
}
