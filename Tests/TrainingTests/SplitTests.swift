import Data
import Graph
import Host
import JSON
import Model
import Testing
import Training

/// A window's gradient does not depend on how its rows are cut into batches.
@Suite(.serialized) struct SplitTests {
    let components: Registry

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
    }

    private struct Window {
        let engine: TrainingEngine
        let normalizer: Double

        /// Loss, and the gradients of all trained tensors one behind the other.
        func gradient(_ batches: [Batch]) throws -> (loss: Double, gradient: [Float]) {
            var loss = 0.0
            let mismatch = try engine.mismatch(batches)
            for (i, batch) in batches.enumerated() {
                loss += try engine.forwardBackward(
                    batch, normalizer: normalizer, accumulates: i > 0, mismatch: mismatch
                ).loss
            }
            return (loss, try engine.parameters.entries.flatMap { try engine.parameters.gradient($0.name) })
        }
    }

    private func engine(_ objective: String, tuner: Bool, _ recompute: Graph.Recomputation) throws -> TrainingEngine {
        // B starts at random, so that the gradient of A is not zero.
        let handle =
            tuner
            ? try TunerHandle(
                id: "lora", settings: ["rank": 4, "alpha": 8, "dropout": 0, "init_weights": "false"],
                components: components) : nil
        var options = TrainingEngine.Options(tuner: handle) { !tuner || $0.hasSuffix("_proj") }
        options.recompute = recompute
        return try TrainingEngine(
            model: try Model(path: Golden.root + "families/llama", components: components),
            objective: try ObjectiveHandle(id: objective, settings: [:], components: components),
            optimizer: try OptimizerHandle(id: "adamw", settings: [:], components: components), options: options)
    }

    /// Rows of random length, prompt and weights, as pairs for DPO.
    private func examples(_ count: Int, pairs: Bool, _ random: inout SplitMix) -> [EncodedExample] {
        (0..<count).map { row in
            let sequences = (0..<(pairs ? 2 : 1)).map { _ in
                let length = Int.random(in: 2...40, using: &random)
                let prompt = Int.random(in: 1..<length, using: &random)
                return EncodedSequence(
                    ids: (0..<length).map { _ in Int32.random(in: 3..<96, using: &random) },
                    weights: (0..<length).map { $0 < prompt ? 0 : [0.5, 1, 1, 2].randomElement(using: &random) ?? 1 },
                    promptLength: prompt)
            }
            return EncodedExample(
                pairs ? .pair : .single, sequences: sequences, row: row, label: Bool.random(using: &random) ? 1 : 0)
        }
    }

    /// Cuts at random places, and packing to random lengths by both strategies.
    private func split(
        _ examples: [EncodedExample], _ trial: Int, keepsOrder: Bool, _ random: inout SplitMix
    ) -> [Batch] {
        // Which answer stands beside which prompt hangs on the order of the rows, and on nothing else.
        if keepsOrder {
            var batches: [[EncodedExample]] = [[]]
            for row in examples {
                if Bool.random(using: &random), !batches[batches.count - 1].isEmpty { batches.append([]) }
                batches[batches.count - 1].append(row)
            }
            return batches.map { Batch($0) }
        }
        let rows = examples.shuffled(using: &random)
        let lengths = rows.map { $0.sequences.reduce(0) { $0 + $1.ids.count } }
        let capacity = max(lengths.max() ?? 1, Int.random(in: 60...300, using: &random))
        switch trial % 3 {
        case 0: return Packing.bestFit(lengths, capacity: capacity).map { Batch($0.map { rows[$0] }) }
        case 1: return Packing.sequential(lengths, capacity: capacity).map { Batch($0.map { rows[$0] }) }
        default:
            var batches: [[EncodedExample]] = [[]]
            for row in rows {
                if Bool.random(using: &random), !batches[batches.count - 1].isEmpty { batches.append([]) }
                batches[batches.count - 1].append(row)
            }
            return batches.map { Batch($0) }
        }
    }

    @Test(arguments: ["sft", "dpo", "kto"], [true, false]) func anySplitGivesTheSameGradient(
        objective: String, tuner: Bool
    )
        throws
    {
        var random = SplitMix(state: 5)
        let pairs = objective == "dpo"
        for window in 0..<3 {
            let examples = examples(Int.random(in: 5...12, using: &random), pairs: pairs, &random)
            let whole = Batch(examples)
            let run = Window(
                engine: try engine(objective, tuner: tuner, [.none, .light, .blocks][window]),
                normalizer: objective == "sft" ? Double(whole.trainedTokens) : Double(examples.count))
            let wanted = try run.gradient([whole])
            let length = wanted.gradient.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
            #expect(length > 1e-3)
            for trial in 0..<6 {
                let batches = split(examples, trial, keepsOrder: objective == "kto", &random)
                let found = try run.gradient(batches)
                #expect(abs(found.loss - wanted.loss) <= 2e-6 * abs(wanted.loss))
                let error = zip(found.gradient, wanted.gradient).reduce(0) {
                    $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1)
                }.squareRoot()
                #expect(error <= 5e-6 * length, "\(batches.map(\.sequenceCount)): \(error) of \(length)")
            }
        }
    }
}

/// Steele, Lea & Flood 2014: a generator whose numbers are the same in every run.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
