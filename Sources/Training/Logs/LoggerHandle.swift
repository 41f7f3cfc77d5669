package import JSON
package import Model
internal import PluginAPI
internal import PluginKit

/// A logger plugin with a run opened in it.
package final class LoggerHandle {
    private let table: UnsafePointer<mt_logger_table>
    private let context: UnsafeMutableRawPointer?
    private let run: OpaquePointer
    package let id: String

    /// - Parameter configuration: The command's arguments.
    package init(
        id: String, directory: String, run name: String, configuration: JSON, components: any ComponentSource
    ) throws {
        let component = try components.component(kind: MT_KIND_LOGGER, id: id)
        guard let table = component.table?.assumingMemoryBound(to: mt_logger_table.self) else {
            throw TrainingError(.invalid, "has no table", at: "logger \(id)")
        }
        let settings: JSON = ["directory": .string(directory), "run": .string(name), "config": configuration]
        var opened: OpaquePointer?
        try settings.text().lent { settings in
            try checked { table.pointee.open(component.ctx, settings, &opened, $0) }
        }
        guard let opened else { throw TrainingError(.invalid, "opened nothing", at: "logger \(id)") }
        self.table = table
        self.id = id
        context = component.ctx
        run = opened
    }

    deinit { table.pointee.close(context, run) }

    package func event(_ record: String) throws {
        try record.lent { record in try checked { table.pointee.event(context, run, record, $0) } }
    }

    package func flush() throws { try checked { table.pointee.flush(context, run, $0) } }
}
