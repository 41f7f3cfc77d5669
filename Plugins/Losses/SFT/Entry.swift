import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.losses.sft", version: "0.1.0", host, error) {
        $0.alignment("sft", SFT.self, summary: "Supervised fine-tuning and pre-training: cross-entropy of the labels")
    }
}
