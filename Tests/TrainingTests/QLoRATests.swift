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

    @Test func trainingOverNF4FollowsBitsandbytes() throws {
        let golden = try Golden("training/qlora-llama", components)
        var options = Model.Options()
        options.activation = "f32"
        options.quantizer = try QuantizerHandle(
            id: "bnb", settings: ["bnb_4bit_use_double_quant": false], components: components)
        let model = try Model(path: Golden.root + "families/llama", options: options, components: components)
        let adapter = try Adapter(directory: Golden.root + "training/lora-llama/adapter_init", components: components)
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
}
