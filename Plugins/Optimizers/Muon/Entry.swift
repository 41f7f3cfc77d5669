import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.optimizers.muon", version: "0.1.0", host, error) {
        $0.optimizer("muon", Muon.self, summary: "Momentum made orthogonal; AdamW for vectors, embeddings and the head")
    }
}
