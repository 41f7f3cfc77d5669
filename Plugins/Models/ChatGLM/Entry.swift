import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.chatglm", version: "0.1.0", host, error) {
        $0.model("chatglm", ChatGLM.self, summary: "ChatGLM 2 and 3, and GLM-4-9B in its own code")
    }
}
