import Host
import PluginAPI

extension Case {
    static let tables = Case(
        name: "tables", claim: "each table is whole: every function of its kind but the optional ones",
        needs: ["components"]
    ) { subject in
        for component in try LoadedPlugin.enumerate(try subject.initialized(), try subject.manifest()) {
            if let fault = component.tableFault { throw Breach("\(component.kind) \(component.id): \(fault)") }
        }
    }
}
