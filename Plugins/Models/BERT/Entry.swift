import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("martlet.models.bert", version: "0.1.0", host, error) {
        $0.model("bert", BERT.self, summary: "BERT and XLM-RoBERTa encoders")
    }
}
