import PluginKit

@_cdecl("martlet_plugin_entry")
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.datasets.json", version: "0.1.0", host, error) {
        $0.dataset(
            "json", JSONArray.self,
            summary: "A JSON array of objects, bare or inside an object, read element by element")
    }
}
