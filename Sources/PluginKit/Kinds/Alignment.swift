public import JSON
import PluginAPI

/// What an objective needs of a batch.
public struct ObjectiveNeeds: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Sequences come as chosen, rejected, chosen, rejected …
    public static let pairs = ObjectiveNeeds(rawValue: MT_NEEDS_PAIRS)
    public static let labels = ObjectiveNeeds(rawValue: MT_NEEDS_LABELS)
    public static let reference = ObjectiveNeeds(rawValue: MT_NEEDS_REFERENCE)
    public static let mismatched = ObjectiveNeeds(rawValue: MT_NEEDS_MISMATCHED)
    public static let rollouts = ObjectiveNeeds(rawValue: MT_NEEDS_ROLLOUTS)
    public static let rewards = ObjectiveNeeds(rawValue: MT_NEEDS_REWARDS)
    public static let values = ObjectiveNeeds(rawValue: MT_NEEDS_VALUES)
    public static let entropy = ObjectiveNeeds(rawValue: MT_NEEDS_ENTROPY)
    public static let scores = ObjectiveNeeds(rawValue: MT_NEEDS_SCORES)
}

/// A batch as values of the graph: T tokens, S sequences; pairs are adjacent sequences. Shapes as in kinds/alignment.h.
public struct Objective {
    public let g: GraphBuilder
    private let raw: mt_objective

    init(_ raw: mt_objective) throws {
        self.raw = raw
        g = try GraphBuilder(graph: raw.graph)
    }

    private func required(_ value: mt_value, _ name: String) throws -> Tensor {
        guard value.index != 0 else { throw PluginError(.invalid, "the batch has no \(name)", at: "objective") }
        return g.tensor(value)
    }

    /// Log-probability of each token's label, [T].
    public var logps: Tensor { get throws { try required(raw.logps, "logps") } }
    /// Loss weight of each label, [T].
    public var weights: Tensor { get throws { try required(raw.weights, "weights") } }
    /// What means over the whole window divide by, [1].
    public var normalizer: Tensor { get throws { try required(raw.normalizer, "normalizer") } }
    /// Sums over trained tokens, [S].
    public var sequenceLogps: Tensor { get throws { try required(raw.sequence_logps, "sequence_logps") } }
    /// Numbers of trained tokens, [S].
    public var sequenceLengths: Tensor { get throws { try required(raw.sequence_lengths, "sequence_lengths") } }
    public var referenceSequenceLogps: Tensor {
        get throws { try required(raw.reference_sequence_logps, "reference_sequence_logps") }
    }
    public var mismatchedLogps: Tensor { get throws { try required(raw.mismatched_logps, "mismatched_logps") } }
    public var mismatchedReferenceLogps: Tensor {
        get throws { try required(raw.mismatched_reference_logps, "mismatched_reference_logps") }
    }
    public var labels: Tensor { get throws { try required(raw.labels, "labels") } }
    public var scores: Tensor { get throws { try required(raw.scores, "scores") } }

    /// The chosen and the rejected of each pair of a value [S].
    public func pairs(_ x: Tensor) -> (chosen: Tensor, rejected: Tensor) {
        let table = x.reshaped(-1, 2)
        return (table.slice(1, 0, 1).reshaped(-1), table.slice(1, 1, 2).reshaped(-1))
    }
}

/// A training objective over log-probabilities of labels.
public protocol Alignment {
    init(settings: JSON) throws
    var needs: ObjectiveNeeds { get }
    /// The scalar loss: this batch's share of the window's.
    func loss(_ batch: Objective) throws -> Tensor
    /// Named sums with what to divide them by.
    func metrics(_ batch: Objective) throws -> [(name: String, sum: Tensor, count: Tensor)]
}

extension Alignment {
    public func metrics(_ batch: Objective) throws -> [(name: String, sum: Tensor, count: Tensor)] { [] }
}

private final class AlignmentContext {
    let type: any Alignment.Type
    init(_ type: any Alignment.Type) { self.type = type }
    static func make(_ context: UnsafeMutableRawPointer?, _ settings: mt_str) throws -> any Alignment {
        try Handle.context(context, as: AlignmentContext.self).type.init(
            settings: settings.size == 0 ? [:] : try JSON(parsing: settings.bytes))
    }
}

extension Components {
    /// Offers an objective under `id`.
    public func alignment(_ id: String, _ type: any Alignment.Type, summary: String, priority: Int = 0) {
        var table = mt_alignment_table()
        table.struct_size = UInt32(MemoryLayout<mt_alignment_table>.size)
        table.needs = { context, settings, out, error in
            guarded(error) { out?.pointee = try AlignmentContext.make(context, settings).needs.rawValue }
        }
        table.loss = { context, objective, out, error in
            guarded(error) {
                guard let objective = objective?.pointee else { throw PluginError(.invalid, "the objective is NULL") }
                let batch = try Objective(objective)
                let loss = try AlignmentContext.make(context, objective.settings).loss(batch)
                try batch.g.check()
                out?.pointee = loss.value
            }
        }
        table.metrics = { context, objective, receiver, add, error in
            guarded(error) {
                guard let objective = objective?.pointee, let add else {
                    throw PluginError(.invalid, "the objective is NULL")
                }
                let batch = try Objective(objective)
                for metric in try AlignmentContext.make(context, objective.settings).metrics(batch) {
                    try batch.g.check()
                    try metric.name.lent { name in
                        try checked { add(receiver, name, metric.sum.value, metric.count.value, $0) }
                    }
                }
            }
        }
        add(
            kind: MT_KIND_ALIGNMENT, id: id, summary: summary, priority: priority, table: table,
            context: AlignmentContext(type))
    }
}
