import PluginKit

@_cdecl("martlet_plugin_entry")
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.datasets.jsonl", version: "0.1.0", host, error) {
        $0.dataset("jsonl", JSONLines.self, summary: "JSON Lines, one object a line")
    }
}
