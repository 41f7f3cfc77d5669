import PluginKit

@c(martlet_plugin_entry)
public func entry(_ host: HostHandle, _ error: ErrorHandle) -> PluginHandle {
    plugin("example.steplines", version: "0.1.0", host, error) {
        $0.logger("steplines", StepLines.self, summary: "Appends each record to a table of text")
    }
}
