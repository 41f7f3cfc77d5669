import PluginKit

@_cdecl("martlet_plugin_entry")
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.datasets.csv", version: "0.1.0", host, error) {
        $0.dataset("csv", CSV.self, summary: "Comma- and tab-separated values with a header")
    }
}
