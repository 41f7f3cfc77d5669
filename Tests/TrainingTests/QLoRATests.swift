import Data
import Graph
import Host
import JSON
import Model
import Testing
import Training

/// Training over weights that are quantized as they are loaded; see Tests/Oracles/training.py.
@Suite(.serialized) struct QLoRATests {
    let components: Registry

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
    }

    @Test(arguments: [("qlora-llama", "lora-llama"), ("qdora-llama", "dora-llama")])
    func trainingOverNF4FollowsBitsandbytes(run: String, start: String) throws {
        let golden = try Golden("training/\(run)", components)
        var options = Model.Options()
        options.activation = "f32"
        options.quantizer = try QuantizerHandle(
            id: "bnb", settings: ["bnb_4bit_use_double_quant": false], components: components)
        let model = try Model(path: Golden.root + "families/llama", options: options, components: components)
        let adapter = try Adapter(directory: Golden.root + "training/\(start)/adapter_init", components: components)
        let tuner = try TunerHandle(id: "lora", adapterConfig: adapter.config, components: components)
        let engine = try TrainingEngine(
            model: model, objective: try ObjectiveHandle(id: "sft", settings: [:], components: components),
            optimizer: try OptimizerHandle(id: "adamw", settings: [:], components: components),
            options: .init(tuner: tuner, isTarget: adapter.isTarget))
        try engine.load(adapter)
        let rows = try Golden("training", components).rows("rows")
        for (step, expected) in (try golden.json("steps.json")["steps"]?.array ?? []).enumerated() {
            let batches = [0, 2].map { at in Batch((0..<2).map { rows[4 * step + at + $0] }) }
            let total = Double(batches.reduce(0) { $0 + $1.trainedTokens })
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

    /// DoRA wants the lengths of the adapted weight's rows: it begins as the quantized model is, and keeps no weight in another
    /// layout beside the one that products use.
    @Test(arguments: ["true", "pissa"]) func doraTakesQuantizedWeightsAsTheyLie(start: String) throws {
        var modelOptions = Model.Options()
        modelOptions.activation = "f32"
        modelOptions.quantizer = try QuantizerHandle(id: "bnb", settings: [:], components: components)
        let rows = try Golden("training", components).rows("rows")
        var losses: [Double] = []
        var weights: [[String: Int]] = []
        for dora in [false, true] {
            let model = try Model(path: Golden.root + "families/llama", options: modelOptions, components: components)
            let tuner = try TunerHandle(
                id: "lora",
                settings: [
                    "rank": 2, "dropout": 0, "use_dora": .bool(dora), "init_weights": .string(dora ? start : "true"),
                ],
                components: components)
            let objective = try ObjectiveHandle(id: "sft", settings: [:], components: components)
            let optimizer = try OptimizerHandle(id: "adamw", settings: [:], components: components)
            let engine = try TrainingEngine(
                model: model, objective: objective, optimizer: optimizer,
                options: .init(tuner: tuner) { $0.hasSuffix("_proj") })
            losses.append(try engine.evaluate(Batch(rows[..<4]), normalizer: 1).loss)
            let method = MemoryEstimate.Method(tuner: tuner, optimizer: optimizer, objective: objective) {
                $0.hasSuffix("_proj")
            }
            let parts = try MemoryEstimate(training: model, method, batch: .init(tokens: 64, rows: 2)).parts
            weights.append(Dictionary(uniqueKeysWithValues: parts.map { ($0.name, $0.bytes) }))
        }
        #expect(abs(losses[0] - losses[1]) < 1e-4 * losses[0], "\(losses)")
        for (part, bytes) in weights[0] where part.hasPrefix("weights in") {
            #expect(weights[1][part] == bytes, "\(part)")
        }
    }
}
