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
    /// "zeros", "ones", "kaiming_uniform", "normal:STD", "weight_norm": the lengths of the frozen weight's rows, or
    /// "computed": by `Tuner.initial`.
    public let initial: String
    /// Which learning-rate group it belongs to; empty for the usual one.
    public let group: String
    /// Whether it is trained, or keeps its first values.
    public let isTrained: Bool
    /// What is put behind it in the published tensor.
    public let join: Join?

    /// Another tensor of the site, times a factor, along an axis.
    public struct Join: Sendable {
        public let tensor: String
        public let axis: Int
        public let factor: Double
        public init(_ tensor: String, axis: Int, factor: Double) {
            self.tensor = tensor
            self.axis = axis
            self.factor = factor
        }
    }

    public init(
        _ name: String, _ shape: [Int], initial: String, group: String = "", isTrained: Bool = true, join: Join? = nil
    ) {
        self.name = name
        self.shape = shape
        self.initial = initial
        self.group = group
        self.isTrained = isTrained
        self.join = join
    }

    var json: JSON {
        var json = JSONObject([
            ("name", .string(name)), ("shape", .array(shape.map { .int(Int64($0)) })), ("init", .string(initial)),
            ("group", .string(group)), ("trained", .bool(isTrained)),
        ])
        if let join {
            json["join"] = [
                "tensor": .string(join.tensor), "axis": .int(Int64(join.axis)), "factor": .double(join.factor),
            ]
        }
        return .object(json)
    }
}

/// The frozen weight of a site, f32 [outWidth, inWidth] row by row.
public struct FrozenWeight {
    public let name: String
    public let inWidth: Int
    public let outWidth: Int
    public let values: UnsafeBufferPointer<Float>
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
    /// First values of the tensors whose initialisation is "computed", by their names.
    func initial(_ weight: FrozenWeight) throws -> [String: [Float]]
    /// PEFT's adapter_config.json.
    func adapterConfig() -> JSON
    /// This tuner's settings from an adapter_config.json.
    static func settings(adapterConfig: JSON) throws -> JSON
}

extension Tuner {
    public func initial(_ weight: FrozenWeight) throws -> [String: [Float]] { [:] }
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
                try out.put(JSON.array(tensors.map(\.json)).text())
            }
        }
        table.apply = { context, settings, graph, site, trained, count, training, out, error in
            guarded(error) {
                let g = try GraphBuilder(graph: graph)
                let list = UnsafeBufferPointer(start: trained, count: trained == nil ? 0 : count).map(g.tensor)
                let result = try TunerContext.make(context, settings).apply(
                    g, try Site(site, g), list, training: training)
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
        table.initial = { context, settings, site, weight, out, count, error in
            guarded(error) {
                guard let site = site?.pointee, let weight, let out else {
                    throw PluginError(.invalid, "an argument is NULL")
                }
                let (inWidth, outWidth) = (Int(site.in), Int(site.out))
                let tuner = try TunerContext.make(context, settings)
                let tensors = try tuner.parameters(site.name.string, inWidth: inWidth, outWidth: outWidth)
                guard tensors.count == count else {
                    throw PluginError(.invalid, "\(count) tensors are asked for, the site has \(tensors.count)")
                }
                let computed = try tuner.initial(
                    FrozenWeight(
                        name: site.name.string, inWidth: inWidth, outWidth: outWidth,
                        values: UnsafeBufferPointer(start: weight, count: inWidth * outWidth)))
                for (i, tensor) in tensors.enumerated() {
                    guard let target = out[i] else { continue }
                    guard let values = computed[tensor.name], values.count == tensor.shape.reduce(1, *) else {
                        throw PluginError(.unsupported, "this tuner computes no first values of \(tensor.name)")
                    }
                    target.update(from: values, count: values.count)
                }
            }
        }
        add(
            kind: MT_KIND_TUNER, id: id, summary: summary, priority: priority, table: table, context: TunerContext(type)
        )
    }
}
