public import JSON
import PluginAPI

/// What becomes of a weight.
public struct QuantizationPlan: Sendable {
    /// How the device reads it; nil leaves the weight alone.
    public let layout: String?
    public let bytes: Int
    /// What the quantizer wants to know of the weight's inputs: "none", "hessian" [columns, columns] or "magnitude" [columns].
    public let statistics: String
    /// Bound of the mean squared error over the mean square of the weight.
    public let maximumRelativeError: Double

    /// The weight stays as it is.
    public static let leftAlone = QuantizationPlan(layout: nil, bytes: 0, maximumRelativeError: 0)

    public init(layout: String?, bytes: Int, statistics: String = "none", maximumRelativeError: Double) {
        self.layout = layout
        self.bytes = bytes
        self.statistics = statistics
        self.maximumRelativeError = maximumRelativeError
    }
}

/// Weights to a block layout.
public protocol Quantizer {
    init(settings: JSON) throws
    func plan(name: String, shape: [Int]) throws -> QuantizationPlan
    /// Writes the planned bytes of f32 weights [rows, columns].
    func quantize(
        _ name: String, _ weight: UnsafeBufferPointer<Float>, rows: Int, columns: Int,
        statistics: UnsafePointer<Float>?,
        to out: UnsafeMutableRawBufferPointer) throws
}

private final class QuantizerContext {
    let type: any Quantizer.Type
    init(_ type: any Quantizer.Type) { self.type = type }
    static func make(_ context: UnsafeMutableRawPointer?, _ settings: mt_str) throws -> any Quantizer {
        try Handle.context(context, as: QuantizerContext.self).type.init(
            settings: settings.size == 0 ? [:] : try JSON(parsing: settings.bytes))
    }
}

extension Components {
    /// Offers a quantizer under `id`.
    public func quantizer(_ id: String, _ type: any Quantizer.Type, summary: String, priority: Int = 0) {
        var table = mt_quantizer_table()
        table.struct_size = UInt32(MemoryLayout<mt_quantizer_table>.size)
        table.plan = { context, settings, name, dims, rank, out, error in
            guarded(error) {
                let shape = UnsafeBufferPointer(start: dims, count: dims == nil ? 0 : rank).map { Int($0) }
                let plan = try QuantizerContext.make(context, settings).plan(name: name.string, shape: shape)
                let document: JSON = [
                    "layout": plan.layout.map(JSON.string) ?? .null, "bytes": .int(Int64(plan.bytes)),
                    "statistics": .string(plan.statistics), "max_relative_error": .double(plan.maximumRelativeError),
                ]
                try out.put(document.text())
            }
        }
        table.quantize = { context, settings, name, weight, rows, columns, statistics, out, size, error in
            guarded(error) {
                let quantizer = try QuantizerContext.make(context, settings)
                guard rows >= 0, columns >= 0, let size = Int(exactly: size),
                    case let (count, isTooLarge) = Int(rows).multipliedReportingOverflow(by: Int(columns)), !isTooLarge,
                    weight != nil || count == 0, out != nil || size == 0
                else {
                    throw PluginError(
                        .invalid, "found a weight of \(rows) rows and \(columns) columns", at: name.string)
                }
                let planned = try quantizer.plan(name: name.string, shape: [Int(rows), Int(columns)]).bytes
                guard planned == size else {
                    throw PluginError(
                        .invalid, "found room for \(size) bytes, wanted the planned \(planned)", at: name.string)
                }
                try quantizer.quantize(
                    name.string, UnsafeBufferPointer(start: weight, count: count), rows: Int(rows),
                    columns: Int(columns),
                    statistics: statistics, to: UnsafeMutableRawBufferPointer(start: out, count: size))
            }
        }
        add(
            kind: MT_KIND_QUANTIZER, id: id, summary: summary, priority: priority, table: table,
            context: QuantizerContext(type))
    }
}
