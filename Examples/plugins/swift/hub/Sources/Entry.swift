import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("example.bookshelf", version: "0.1.0", host, error) {
        $0.hub("bookshelf", Bookshelf.self, summary: "A plain web server with a files.json beside each model's files")
    }
}
