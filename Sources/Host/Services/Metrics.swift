import PluginAPI
import PluginKit
import Synchronization

/// Gauges and counters by name.
package final class Metrics: Sendable {
    private let values = Mutex<[String: Double]>([:])

    package func set(_ name: String, _ value: Double) { values.withLock { $0[name] = value } }
    package func add(_ name: String, _ amount: Double) { values.withLock { $0[name, default: 0] += amount } }
    package var snapshot: [String: Double] { values.withLock { $0 } }

    var table: mt_metrics {
        var table = mt_metrics()
        table.struct_size = UInt32(MemoryLayout<mt_metrics>.size)
        table.ctx = Unmanaged.passRetained(self).toOpaque()
        table.set = { context, name, value in (try? Handle.context(context, as: Metrics.self))?.set(name.string, value)
        }
        table.add = { context, name, amount in
            (try? Handle.context(context, as: Metrics.self))?.add(name.string, amount)
        }
        return table
    }
}
