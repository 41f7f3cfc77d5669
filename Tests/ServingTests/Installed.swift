import Graph
import Host
import Model

/// What is installed, with the services that engines need.
enum Installed {
    static func opened() throws -> (components: Registry, runners: ModelRunnerService) {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        let components = Registry(try .standard())
        return (components, ModelRunnerService(.shared, components: components))
    }
}
