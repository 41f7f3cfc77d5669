import Data
import Glibc
import Graph
import Host
import JSON
import Model
import Testing
import Training

/// Training against transformers and peft, step by step; see Tests/Oracles/training.py.
@Suite(.serialized) struct GoldenRunTests {
    let components: Registry

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
    }

    @Test(arguments: ["llama"]) func loraFollowsPEFTForTwentySteps(base: String) throws {
        let golden = try Golden("training/lora-\(base)", components)
        let adapter = try Adapter(directory: golden.path("adapter_init"), components: components)
        let tuner = try TunerHandle(id: "lora", adapterConfig: adapter.config, components: components)
        let engine = try makeEngine(base, "sft", [:], .init(tuner: tuner, isTarget: adapter.isTarget))
        try engine.load(adapter)
        let rows = try Golden("training", components).rows("rows")
        try follow(golden, engine, perStep: 4) { rows[$0] } normalizer: { batches in
            Double(batches.reduce(0) { $0 + $1.trainedTokens })
        }
        try compareTensors(engine, try Adapter(directory: golden.path("adapter_final"), components: components), within: 1e-3)
    }

    @Test(arguments: [Graph.Recomputation.none, .blocks]) func fullTrainingFollowsTransformers(recompute: Graph.Recomputation) throws {
        let golden = try Golden("training/full-llama-tied", components)
        var options = TrainingEngine.Options(tuner: nil) { _ in true }
        options.recompute = recompute
        let engine = try makeEngine("llama-tied", "sft", [:], options)
        let rows = try Golden("training", components).rows("rows")
        try follow(golden, engine, perStep: 4) { rows[$0] } normalizer: { batches in
            Double(batches.reduce(0) { $0 + $1.trainedTokens })
        }
    }

    @Test(arguments: ["llama"]) func dpoFollowsTheFormula(base: String) throws {
        let golden = try Golden("training/dpo-\(base)", components)
        let adapter = try Adapter(directory: golden.path("adapter_init"), components: components)
        let tuner = try TunerHandle(id: "lora", adapterConfig: adapter.config, components: components)
        let engine = try makeEngine(base, "dpo", ["beta": 0.1], .init(tuner: tuner, isTarget: adapter.isTarget))
        try engine.load(adapter)
        let pairs = try Golden("training", components)
        let (chosen, rejected) = (try pairs.rows("pairs", "chosen."), try pairs.rows("pairs", "rejected."))
        try follow(golden, engine, perStep: 4) {
            EncodedExample(.pair, sequences: [chosen[$0].sequences[0], rejected[$0].sequences[0]], row: $0)
        } normalizer: { batches in Double(batches.reduce(0) { $0 + $1.sequenceCount / 2 }) }
    }

    private func makeEngine(
        _ base: String, _ objective: String, _ settings: JSON, _ options: TrainingEngine.Options
    ) throws -> TrainingEngine {
        let model = try Model(path: Golden.root + "families/\(base)", components: components)
        return try TrainingEngine(
            model: model, objective: try ObjectiveHandle(id: objective, settings: settings, components: components),
            optimizer: try OptimizerHandle(id: "adamw", settings: [:], components: components), options: options)
    }

    /// Repeats the golden run: two micro-batches of two rows a step, clipping at 1, AdamW at 1e-3.
    private func follow(
        _ golden: Golden, _ engine: TrainingEngine, perStep: Int, example: (Int) -> EncodedExample,
        normalizer: ([Batch]) -> Double
    ) throws {
        for (step, expected) in (try golden.json("steps.json")["steps"]?.array ?? []).enumerated() {
            let batches = [0, 2].map { at in Batch((0..<2).map { example(perStep * step + at + $0) }) }
            let total = normalizer(batches)
            var loss = 0.0
            for (i, batch) in batches.enumerated() {
                loss += try engine.forwardBackward(batch, normalizer: total, accumulates: i > 0).loss
            }
            let norm = try engine.gradientNorm()
            let wanted = (try #require(expected["loss"]?.double), try #require(expected["grad_norm"]?.double))
            #expect(abs(loss - wanted.0) <= 1e-4 * abs(wanted.0), "step \(step): loss \(loss), wanted \(wanted.0)")
            #expect(abs(norm - wanted.1) <= 1e-3 * wanted.1, "step \(step): gradient norm \(norm), wanted \(wanted.1)")
            try engine.step(
                step + 1, learningRates: ["": 1e-3], weightDecay: 0.1, gradientScale: min(1, 1 / (norm + 1e-6)))
        }
    }

    private func compareTensors(_ engine: TrainingEngine, _ wanted: Adapter, within tolerance: Float) throws {
        #expect(wanted.tensors.count == engine.parameters.entries.count)
        for (name, tensor) in wanted.tensors {
            let found = try engine.parameters.values(name)
            let largest = tensor.values.map(abs).max() ?? 1
            let error = zip(found, tensor.values).map { abs($0 - $1) }.max() ?? 0
            #expect(error <= tolerance * largest, "\(name) differs by \(error) of \(largest)")
        }
    }
}

/// A folder of Tests/Goldens.
struct Golden {
    static let root = #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Goldens/"
    let folder: String
    let components: Registry

    init(_ folder: String, _ components: Registry) throws {
        self.folder = folder
        self.components = components
    }

    func path(_ name: String) -> String { Self.root + folder + "/" + name }

    func json(_ name: String) throws -> JSON {
        let file = try #require(fopen(path(name), "rb"))
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while case let n = fread(&chunk, 1, chunk.count, file), n > 0 { bytes += chunk[..<n] }
        return try JSON(parsing: bytes)
    }

    /// Rows of ids, labels and lengths as examples.
    func rows(_ name: String, _ prefix: String = "") throws -> [EncodedExample] {
        let checkpoint = try CheckpointHandle(path: path(name + ".safetensors"), components: components)
        func ints(_ tensor: String) throws -> [Int32] {
            let bytes = try checkpoint.bytes(of: try #require(checkpoint.tensors[prefix + tensor]))
            return (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self) }
        }
        let (ids, labels, lengths) = (try ints("ids"), try ints("labels"), try ints("length"))
        let width = ids.count / lengths.count
        return lengths.indices.map { row in
            let span = row * width..<row * width + Int(lengths[row])
            return EncodedExample(
                sequences: [EncodedSequence(ids: Array(ids[span]), weights: labels[span].map { $0 == -100 ? 0 : 1 })], row: row)
        }
    }
}
