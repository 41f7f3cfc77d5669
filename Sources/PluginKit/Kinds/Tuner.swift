public import JSON
import PluginAPI

/// A linear site: y = x weightᵀ (+ bias), by its name in the checkpoint.
public struct Site {
    public let name: String
    public let inWidth: Int
    public let outWidth: Int
    /// [T, in] and [T, out]; absent where only shapes are asked for.
    public let x: Tensor
    public let y: Tensor
    /// [out, in], the frozen weight.
    public let weight: Tensor
}

/// A tensor that a tuner trains at a site.
public struct TrainedTensor: Sendable {
    /// As PEFT names it behind the site, such as "lora_A.weight".
    public let name: String
    public let shape: [Int]
    /// "zeros", "ones", "kaiming_uniform", "normal:STD", or "weight_norm": the lengths of the frozen weight's rows.
    public let initial: String
    /// Which learning-rate group it belongs to; empty for the usual one.
    public let group: String
    public init(_ name: String, _ shape: [Int], initial: String, group: String = "") {
        self.name = name
        self.shape = shape
        self.initial = initial
        self.group = group
    }
}

/// What is added to a linear site when it is trained.
public protocol Tuner {
    init(settings: JSON) throws
    /// What is trained at the linear site `name`.
    func parameters(_ name: String, inWidth: Int, outWidth: Int) throws -> [TrainedTensor]
    /// y' from the site and its trained tensors, in the order of `parameters`.
    func apply(_ g: GraphBuilder, _ site: Site, _ trained: [Tensor], training: Bool) throws -> Tensor
    /// The merged weight [out, in] in f32; nil when this tuner cannot be merged.
    func merge(_ g: GraphBuilder, _ site: Site, _ trained: [Tensor]) throws -> Tensor?
    /// PEFT's adapter_config.json.
    func adapterConfig() -> JSON
    /// This tuner's settings from an adapter_config.json.
    static func settings(adapterConfig: JSON) throws -> JSON
}

private final class TunerContext {
    let type: any Tuner.Type
    init(_ type: any Tuner.Type) { self.type = type }
    static func make(_ context: UnsafeMutableRawPointer?, _ settings: mt_str) throws -> any Tuner {
        try Handle.context(context, as: TunerContext.self).type.init(settings: try parse(settings))
    }
    static func parse(_ text: mt_str) throws -> JSON { text.size == 0 ? [:] : try JSON(parsing: text.bytes) }
}

extension Site {
    init(_ site: UnsafePointer<mt_site>?, _ g: GraphBuilder) throws {
        guard let site = site?.pointee else { throw PluginError(.invalid, "the site is NULL") }
        name = site.name.string
        inWidth = Int(site.in)
        outWidth = Int(site.out)
        x = g.tensor(site.x)
        y = g.tensor(site.y)
        weight = g.tensor(site.weight)
    }
}

extension Components {
    /// Offers a tuner under `id`.
    public func tuner(_ id: String, _ type: any Tuner.Type, summary: String, priority: Int = 0) {
        var table = mt_tuner_table()
        table.struct_size = UInt32(MemoryLayout<mt_tuner_table>.size)
        table.parameters = { context, settings, site, out, error in
            guarded(error) {
                guard let site = site?.pointee else { throw PluginError(.invalid, "the site is NULL") }
                let tensors = try TunerContext.make(context, settings).parameters(
                    site.name.string, inWidth: Int(site.in), outWidth: Int(site.out))
                let list = tensors.map { tensor -> JSON in
                    [
                        "name": .string(tensor.name), "shape": .array(tensor.shape.map { .int(Int64($0)) }),
                        "init": .string(tensor.initial), "group": .string(tensor.group),
                    ]
                }
                try out.put(JSON.array(list).text())
            }
        }
        table.apply = { context, settings, graph, site, trained, count, training, out, error in
            guarded(error) {
                let g = try GraphBuilder(graph: graph)
                let list = UnsafeBufferPointer(start: trained, count: trained == nil ? 0 : count).map(g.tensor)
                let result = try TunerContext.make(context, settings).apply(g, try Site(site, g), list, training: training)
                try g.check()
                out?.pointee = result.value
            }
        }
        table.merge = { context, settings, graph, site, trained, count, out, error in
            guarded(error) {
                let g = try GraphBuilder(graph: graph)
                let list = UnsafeBufferPointer(start: trained, count: trained == nil ? 0 : count).map(g.tensor)
                guard let result = try TunerContext.make(context, settings).merge(g, try Site(site, g), list) else {
                    throw PluginError(.unsupported, "this tuner cannot be merged into its weights")
                }
                try g.check()
                out?.pointee = result.value
            }
        }
        table.write_config = { context, settings, out, error in
            guarded(error) { try out.put(try TunerContext.make(context, settings).adapterConfig().text(.pretty)) }
        }
        table.read_config = { context, config, out, error in
            guarded(error) {
                let type = try Handle.context(context, as: TunerContext.self).type
                try out.put(try type.settings(adapterConfig: try TunerContext.parse(config)).text())
            }
        }
        add(kind: MT_KIND_TUNER, id: id, summary: summary, priority: priority, table: table, context: TunerContext(type))
    }
}
