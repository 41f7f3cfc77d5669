import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.gpt-neox", version: "0.1.0", host, error) {
        $0.model("gpt-neox", GPTNeoX.self, summary: "GPT-NeoX and Pythia")
    }
}
