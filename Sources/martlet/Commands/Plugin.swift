/// `martlet plugin …`
enum PluginCommand: Command {
    static let name = "plugin"
    static let summary = "List, check, add, remove, sign and start plugins"
    static var subcommands: [any Command.Type] {
        [
            PluginList.self, PluginShow.self, PluginCheck.self, PluginCheckCase.self, PluginNew.self, PluginAdd.self,
            PluginRemove.self, PluginSign.self, PluginKeygen.self, PluginCall.self,
        ]
    }
}
