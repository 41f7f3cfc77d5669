import PluginKit

/// The one symbol that this library exports.
@_cdecl("martlet_plugin_entry")
public func martletPluginEntry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.checkpoints.gguf", version: "0.1.0", host, error) {
        $0.checkpoint("gguf", GGUF.self, summary: "GGUF versions 2 and 3, whole or split, under the published names")
    }
}
