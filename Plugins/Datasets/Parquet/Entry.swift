import PluginKit

@_cdecl("martlet_plugin_entry")
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.datasets.parquet", version: "0.1.0", host, error) {
        $0.dataset("parquet", Parquet.self, summary: "Apache Parquet, a page of each column at a time")
    }
}
