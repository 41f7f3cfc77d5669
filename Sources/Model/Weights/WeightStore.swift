import Glibc
package import Graph
internal import Host
package import PluginKit

/// A model's parameters on a device, taken over from its checkpoint when they are first used.
package final class WeightStore: @unchecked Sendable {
    private let checkpoint: CheckpointHandle
    private let device: Device
    private let family: FamilyHandle
    /// Checkpoint tensors by the family's names.
    private let entries: [String: TensorEntry]
    /// The layout that unquantized weights are held in, or nil for their own.
    package let dense: String?
    private var buffers: [String: DeviceBuffer] = [:]
    /// What is quantized as it is taken over, by name.
    private var plans: [String: QuantizerHandle.Plan] = [:]
    private var quantizer: QuantizerHandle?
    /// Bytes that the imported weights take.
    package private(set) var importedBytes = 0

    /// - Parameter dense: "f32", "bf16" or "f16".
    package init(checkpoint: CheckpointHandle, family: FamilyHandle, device: Device, dense: String? = nil) throws {
        self.checkpoint = checkpoint
        self.device = device
        self.dense = dense
        self.family = family
        var entries: [String: TensorEntry] = [:]
        for (name, entry) in checkpoint.tensors {
            if let renamed = try family.rename(name) { entries[renamed] = entry }
        }
        self.entries = entries
    }

    package var names: [String] { entries.keys.sorted() }

    /// The parameter's shape in the checkpoint, nil when it is absent.
    package func shape(of name: String) -> [Int]? { entries[name]?.shape }

    /// Quantizes these weights as they are taken over, where the quantizer wants them and the checkpoint has them unquantized.
    func quantize(_ weights: [Parameter], with quantizer: QuantizerHandle) throws {
        for weight in weights {
            let name = weight.name
            guard isDense(name), let plan = try quantizer.plan(name, shape: weight.shape) else { continue }
            guard plan.statistics == "none" else {
                throw ModelError(
                    .unsupported,
                    "\(quantizer.id) wants statistics of the weight's inputs; calibrate with martlet export first",
                    at: name)
            }
            plans[name] = plan
        }
        guard !plans.isEmpty else {
            let layouts = Set(entries.values.map(\.layout)).sorted().joined(separator: ", ")
            throw ModelError(
                .unsupported,
                "\(quantizer.id) finds no weight to quantize; the checkpoint's layouts are \(layouts), wanted f32, f16 or bf16",
                at: checkpoint.path)
        }
        self.quantizer = quantizer
    }

    /// The stated bound of a weight's mean squared error over its mean square; nil when it is not quantized here.
    package func quantizationBound(of name: String) -> Double? { plans[name]?.maximumRelativeError }

    /// Whether the checkpoint has the parameter, and not quantized.
    func isDense(_ name: String) -> Bool { parts(name).first.map { Self.denseLayouts.contains($0.layout) } ?? false }

    /// Whether the checkpoint has the parameter.
    package func contains(_ name: String) -> Bool { entries[name] != nil }

    /// The entries behind a name; several when "*" stands for the experts 0, 1, 2 …
    private func parts(_ name: String) -> [TensorEntry] { sources(of: name).map(\.entry) }

    /// The tensors behind a name, each by the family's name for it.
    package func sources(of name: String) -> [(name: String, entry: TensorEntry)] {
        guard let star = name.firstIndex(of: "*") else { return entries[name].map { [(name, $0)] } ?? [] }
        var found: [(name: String, entry: TensorEntry)] = []
        while true {
            let part = "\(name[..<star])\(found.count)\(name[name.index(after: star)...])"
            guard let entry = entries[part] else { return found }
            found.append((part, entry))
        }
    }

    /// How the parameter is stored; nil when it is optional and absent.
    /// - Throws: `ModelError` naming the tensor that is missing, with the nearest name, or whose shape differs.
    package func resolve(_ name: String, _ shape: [Int], _ flags: Graph.ParameterFlags) throws -> Parameter? {
        let parts = parts(name)
        guard let first = parts.first else {
            if flags.contains(.optional) { return nil }
            throw missing(name, shape)
        }
        let isTransposed = flags.contains(.transposed) && !checkpoint.holdsOutputsFirst
        let expert = name.contains("*") ? Array(shape.dropFirst()) : shape
        let stored = isTransposed ? expert.reversed() : expert
        for part in parts where part.shape != stored && part.shape.filter({ $0 != 1 }) != stored.filter({ $0 != 1 }) {
            throw ModelError(
                .invalid, "tensor \(part.name) has shape \(part.shape), the model wants \(stored)", at: checkpoint.path)
        }
        if name.contains("*"), parts.count != shape.first {
            throw ModelError(
                .invalid, "there are \(parts.count) tensors \(name), the model wants \(shape.first ?? 0)",
                at: checkpoint.path)
        }
        return Parameter(
            name: name, shape: shape, layout: plans[name]?.layout ?? layout(first, rank: shape.count),
            isTransposed: isTransposed)
    }

    /// - Parameter unread: Names that nothing asks for: one of them may be meant.
    func missing(_ name: String, _ shape: [Int], unread: [String] = []) -> ModelError {
        let meant = nearest(name, in: unread).map { "; nothing reads \($0), which is near" }
        let hint = meant ?? closest(to: name).map { "; the nearest is \($0)" } ?? ""
        return ModelError(
            .notFound, "the checkpoint has no tensor \(name) of shape \(shape)\(hint); it has \(entries.count) tensors",
            at: checkpoint.path)
    }

    private func layout(_ entry: TensorEntry, rank: Int) -> String {
        guard Self.denseLayouts.contains(entry.layout) else { return entry.layout }
        return rank < 2 ? "f32" : dense ?? (entry.layout == "f64" ? "f32" : entry.layout)
    }
    package static let denseLayouts: Set<String> = ["f32", "f16", "bf16", "f64"]

    /// The parameter's memory: on the device, or on its fall-back when the device cannot hold the layout.
    package func buffer(_ parameter: Parameter) throws -> DeviceBuffer {
        let key = "\(parameter.name)|\(parameter.layout)"
        if let known = buffers[key] { return known }
        let isHeld = device.weightSize(layout: parameter.layout, shape: parameter.shape) != nil
        let buffer = try takeOver(parameter, by: isHeld ? device : device.fallback ?? device)
        buffer.takeOver = { [unowned self] in try takeOver(parameter, by: $0) }
        buffers[key] = buffer
        return buffer
    }

    private func takeOver(_ parameter: Parameter, by device: Device) throws -> DeviceBuffer {
        if let plan = plans[parameter.name], plan.layout == parameter.layout, let quantizer {
            let bytes = try quantizer.quantize(
                parameter.name, floats(parameter), rows: parameter.shape[0], columns: parameter.shape[1], plan)
            let buffer = try bytes.withUnsafeBytes { bytes in
                try device.importWeight(
                    name: parameter.name, layout: plan.layout, shape: parameter.shape, parts: [bytes])
            }
            importedBytes += buffer.bytes
            return buffer
        }
        let staged = try parts(parameter.name).map { try stage($0, parameter, as: parameter.layout) }
        let buffer = try device.importWeight(
            name: parameter.name, layout: parameter.layout, shape: parameter.shape, parts: staged.map(\.bytes))
        for tensor in staged { tensor.letGo() }
        importedBytes += buffer.bytes
        return buffer
    }

    /// A dense parameter's values in f32, row-major, as [out, in].
    package func floats(_ parameter: Parameter) throws -> [Float] {
        var values: [Float] = []
        for entry in parts(parameter.name) {
            let staged = try stage(entry, parameter, as: "f32")
            values += (0..<staged.bytes.count / 4).map {
                staged.bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self)
            }
            staged.letGo()
        }
        return values
    }

    private func stage(_ entry: TensorEntry, _ parameter: Parameter, as layout: String) throws -> StagedTensor {
        try StagedTensor(
            entry, bytes: checkpoint.bytes(of: entry), to: layout, transposes: parameter.isTransposed,
            hasUnitRows: family.shape.headHasUnitRows && parameter.name == family.shape.head, at: checkpoint.path)
    }

    /// Lets go of the checkpoint's files once every weight was taken over.
    package func unmap() { checkpoint.unmap() }

    /// Bytes that the model's weights will take on the device, by layout; known without reading them.
    package func sizes(_ parameters: [Parameter]) -> [String: Int] {
        var sizes: [String: Int] = [:]
        for parameter in parameters {
            sizes[parameter.layout, default: 0] +=
                device.weightSize(layout: parameter.layout, shape: parameter.shape)
                ?? device.fallback?.weightSize(layout: parameter.layout, shape: parameter.shape) ?? 0
        }
        return sizes
    }

    /// The checkpoint's names of tensors that none of `parameters` reads, though the family has not said that it has no use for them.
    func unused(_ parameters: [Parameter]) -> [String] {
        let read = Set(parameters.flatMap { parts($0.name).map(\.name) })
        return entries.values.map(\.name).filter { !read.contains($0) }.sorted()
    }

    private func closest(to name: String) -> String? {
        // Names differ in a prefix or a part: the one that shares the longest tail and head.
        func common(_ other: String) -> Int {
            zip(name.utf8.reversed(), other.utf8.reversed()).prefix { $0 == $1 }.count
                + zip(name.utf8, other.utf8).prefix { $0 == $1 }.count
        }
        return entries.keys.max { (common($0), $1) < (common($1), $0) }
    }
}
