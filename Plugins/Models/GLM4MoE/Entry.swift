import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.glm4-moe", version: "0.1.0", host, error) {
        $0.model("glm4-moe", GLM4MoE.self, summary: "GLM-4.5 and 4.6")
    }
}
