package import PluginAPI
import PluginKit

/// An op that a plugin brings, as a decomposition into known ones: so it runs and differentiates everywhere.
package struct PluginOp {
    private let table: UnsafePointer<mt_op_table>
    private let context: UnsafeMutableRawPointer?
    private let name: String

    package init(component: mt_component) throws(GraphError) {
        name = component.id.string
        guard let table = component.table?.assumingMemoryBound(to: mt_op_table.self), table.pointee.decompose != nil
        else {
            throw GraphError(.invalid, "the component has no function \"decompose\"", at: "op \(component.id.string)")
        }
        self.table = table
        context = component.ctx
    }

    /// Emits the op's meaning into `graph` and gives its outputs.
    package func emit(
        _ graph: Graph, _ inputs: [Value], _ attributes: [(String, AttributeValue)], outputs count: Int
    ) throws(GraphError) -> [Value] {
        var results = [mt_value](repeating: mt_value(), count: max(1, count))
        let values = inputs.map { GraphService.value($0, of: graph) }
        let storage = ScheduleStorage()
        let list = attributes.map(storage.attribute)
        do throws(PluginError) {
            try checked { error in
                table.pointee.decompose(
                    context, GraphService.handle(graph), values, values.count, list, list.count, &results,
                    results.count, error)
            }
        } catch {
            throw graph.error(
                error.code == .unsupported ? .unsupported : .invalid,
                error.location.isEmpty ? error.message : "\(error.message) (at \(error.location))", name)
        }
        var outputs: [Value] = []
        for (i, result) in results.enumerated() {
            let value = try GraphService.value(result, in: graph)
            guard !value.isNone else { throw graph.error(.invalid, "output \(i) was not set", name) }
            outputs.append(value)
        }
        withExtendedLifetime(storage) {}
        return outputs
    }
}
