import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.glm4", version: "0.1.0", host, error) {
        $0.model("glm4", GLM4.self, summary: "GLM-4, its 0414 release and Z1")
    }
}
