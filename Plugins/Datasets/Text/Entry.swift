import PluginKit

@_cdecl("martlet_plugin_entry")
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.datasets.text", version: "0.1.0", host, error) {
        $0.dataset("text", PlainText.self, summary: "Plain text, a row a paragraph, line or file")
    }
}
