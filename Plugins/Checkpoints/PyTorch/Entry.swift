import PluginKit

/// The one symbol that this library exports.
@_cdecl("martlet_plugin_entry")
public func martletPluginEntry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.checkpoints.pytorch", version: "0.1.0", host, error) {
        $0.checkpoint(
            "pytorch", PyTorch.self, summary: "tensors saved by PyTorch (.bin, .pt), whole or in shards; read only")
    }
}
