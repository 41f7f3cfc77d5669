import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.clip", version: "0.1.0", host, error) {
        $0.model("clip", CLIP.self, summary: "CLIP: texts and images to vectors of one space")
    }
}
