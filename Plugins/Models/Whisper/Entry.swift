import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.whisper", version: "0.1.0", host, error) {
        $0.model("whisper", Whisper.self, summary: "Whisper: sound to text")
    }
}
