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

    /// LoRA, DoRA, rsLoRA and LoRA+ for twenty steps each.
    @Test(arguments: ["lora-llama", "lora-qwen2", "dora-llama", "rslora-llama", "plus-llama"])
    func tunersFollowPEFT(run: String) throws {
        let golden = try Golden("training/\(run)", components)
        let (engine, _) = try adapted(run.hasSuffix("qwen2") ? "qwen2" : "llama", golden.path("adapter_init"))
        let rows = try Golden("training", components).rows("rows")
        try follow(golden, engine, perStep: 4) {
            rows[$0]
        } normalizer: { batches in
            Double(batches.reduce(0) { $0 + $1.trainedTokens })
        }
        try compareTensors(
            engine, try Adapter(directory: golden.path("adapter_final"), components: components), within: 1e-3)
    }

    /// Adapter directories of peft with all that they may say: the loss and the gradients of one step.
    @Test(arguments: ["rslora", "dora", "patterns", "regex", "layers", "saved-head"])
    func adaptersOfPEFTGiveItsGradients(variant: String) throws {
        let golden = try Golden("training/adapter-\(variant)", components)
        let (engine, _) = try adapted("llama", golden.path(""))
        let rows = try Golden("training", components).rows("rows")
        let batches = [0, 2].map { Batch(rows[$0..<$0 + 2]) }
        let total = Double(batches.reduce(0) { $0 + $1.trainedTokens })
        var loss = 0.0
        for (i, batch) in batches.enumerated() {
            loss += try engine.forwardBackward(batch, normalizer: total, accumulates: i > 0).loss
        }
        let wanted = try #require(try golden.json("steps.json")["steps"]?[0]?["loss"]?.double)
        #expect(abs(loss - wanted) <= 1e-4 * wanted, "loss \(loss), wanted \(wanted)")
        let expected = try CheckpointHandle(path: golden.path("expected.safetensors"), components: components)
        for entry in engine.parameters.entries {
            let name = entry.name.hasPrefix("base_model") ? entry.name : "base_model.model." + entry.name
            let gradient = try expected.floats(try #require(expected.tensors["grad.\(name)"]))
            let found = try engine.parameters.gradient(entry.name)
            let largest = gradient.map(abs).max() ?? 0
            let error = zip(found, gradient).map { abs($0 - $1) }.max() ?? 1
            #expect(error <= 1e-3 * largest + 1e-6, "\(name): gradient differs by \(error) of \(largest)")
        }
    }

    @Test func anAdapterThatTrainsWhatIsNotHereIsRefused() throws {
        #expect(throws: TrainingError.self) {
            _ = try adapted("llama", Golden("training/adapter-embedding", components).path(""))
        }
    }

    /// DoRA begins with the lengths of the frozen weight's rows (peft: adapter-dora was moved off them by noise).
    @Test(arguments: ["true", "pissa"]) func doraBeginsAsTheBaseModel(start: String) throws {
        let tuner = try TunerHandle(
            id: "lora",
            settings: ["rank": 4, "alpha": 8, "dropout": 0, "use_dora": true, "init_weights": .string(start)],
            components: components)
        let rows = try Golden("training", components).rows("rows")
        let plain = try makeEngine("llama", "sft", [:], .init(tuner: nil) { _ in true })
        let dora = try makeEngine("llama", "sft", [:], .init(tuner: tuner) { $0.hasSuffix("_proj") })
        let batch = Batch(rows[..<4])
        let (a, b) = (try plain.evaluate(batch, normalizer: 1).loss, try dora.evaluate(batch, normalizer: 1).loss)
        #expect(abs(a - b) < 1e-4 * abs(a), "\(a) against \(b)")
    }

    private func adapted(_ base: String, _ directory: String) throws -> (TrainingEngine, Adapter) {
        let adapter = try Adapter(directory: directory, components: components)
        let tuner = try TunerHandle(id: "lora", adapterConfig: adapter.config, components: components)
        var options = TrainingEngine.Options(tuner: tuner, isTarget: adapter.isTarget)
        options.isSaved = adapter.isSaved
        let engine = try makeEngine(base, "sft", [:], options)
        try engine.load(adapter)
        return (engine, adapter)
    }

    @Test(arguments: ["llama-tied", "qwen2"], [Graph.Recomputation.none, .light, .blocks])
    func fullTrainingFollowsTransformers(base: String, recompute: Graph.Recomputation) throws {
        let golden = try Golden("training/full-\(base)", components)
        var options = TrainingEngine.Options(tuner: nil) { _ in true }
        options.recompute = recompute
        let engine = try makeEngine(base, "sft", [:], options)
        let rows = try Golden("training", components).rows("rows")
        try follow(golden, engine, perStep: 4) {
            rows[$0]
        } normalizer: { batches in
            Double(batches.reduce(0) { $0 + $1.trainedTokens })
        }
    }

    @Test(arguments: ["llama", "qwen2"]) func dpoFollowsTheFormula(base: String) throws {
        let golden = try Golden("training/dpo-\(base)", components)
        let adapter = try Adapter(directory: golden.path("adapter_init"), components: components)
        let tuner = try TunerHandle(id: "lora", adapterConfig: adapter.config, components: components)
        let engine = try makeEngine(base, "dpo", ["beta": 0.1], .init(tuner: tuner, isTarget: adapter.isTarget))
        try engine.load(adapter)
        try followPairs(golden, engine)
    }

    /// All weights are trained, and the reference is another model: what the model was before, or a second one.
    @Test(arguments: [("llama", "llama"), ("qwen2", "qwen2"), ("llama", "qwen2")])
    func dpoOfAllWeightsHasAReferenceThatStays(base: String, reference: String) throws {
        let golden = try Golden("training/dpo-full-\(base)-\(reference)", components)
        var options = TrainingEngine.Options(tuner: nil) { _ in true }
        if reference != base {
            options.reference = try Model(path: Golden.root + "families/\(reference)", components: components)
        }
        let engine = try makeEngine(base, "dpo", ["beta": 0.1], options)
        try followPairs(golden, engine)
    }

    private func followPairs(_ golden: Golden, _ engine: TrainingEngine) throws {
        let pairs = try Golden("training", components)
        let (chosen, rejected) = (try pairs.rows("pairs", "chosen."), try pairs.rows("pairs", "rejected."))
        try follow(golden, engine, perStep: 4) {
            EncodedExample(.pair, sequences: [chosen[$0].sequences[0], rejected[$0].sequences[0]], row: $0)
        } normalizer: { batches in
            Double(batches.reduce(0) { $0 + $1.sequenceCount / 2 })
        }
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
        let document = try golden.json("steps.json")
        let decay = document["settings"]?["weight_decay"]?.double ?? 0.1
        let ratio = document["settings"]?["lorap_lr_ratio"]?.double ?? 1
        for (step, expected) in (document["steps"]?.array ?? []).enumerated() {
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
                step + 1, learningRates: ["": 1e-3, "b": ratio * 1e-3], weightDecay: decay,
                gradientScale: min(1, 1 / (norm + 1e-6)))
        }
    }

    private func compareTensors(_ engine: TrainingEngine, _ wanted: Adapter, within tolerance: Float) throws {
        #expect(wanted.tensors.count == engine.parameters.entries.count)
        for (name, tensor) in wanted.tensors {
            let known = engine.parameters.entries.contains { $0.name == name }
            let found = try engine.parameters.values(known ? name : String(name.dropFirst("base_model.model.".count)))
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
                sequences: [EncodedSequence(ids: Array(ids[span]), weights: labels[span].map { $0 == -100 ? 0 : 1 })],
                row: row)
        }
    }
}
