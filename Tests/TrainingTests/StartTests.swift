import Data
import Graph
import Host
import JSON
import Model
import Testing
import Training

/// What adapters start from, and the noise of training; see Tests/Oracles/tuner_runs.py.
@Suite(.serialized) struct StartTests {
    let components: Registry

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
    }

    private func engine(
        _ settings: JSON?, isTarget: @escaping (String) -> Bool = { $0.hasSuffix("_proj") },
        options change: (inout TrainingEngine.Options) -> Void = { _ in }
    ) throws -> TrainingEngine {
        let tuner = try settings.map { try TunerHandle(id: "lora", settings: $0, components: components) }
        var options = TrainingEngine.Options(tuner: tuner, isTarget: isTarget)
        change(&options)
        return try TrainingEngine(
            model: try Model(path: Golden.root + "families/llama", components: components),
            objective: try ObjectiveHandle(id: "sft", settings: [:], components: components),
            optimizer: try OptimizerHandle(id: "adamw", settings: [:], components: components), options: options)
    }

    private func batch() throws -> Batch { Batch(try Golden("training", components).rows("rows")[..<4]) }

    private static let pissa: JSON = ["rank": 4, "alpha": 8, "dropout": 0, "init_weights": "pissa"]

    @Test func principalFactorsMultiplyToPEFTsProduct() throws {
        let golden = try Golden("training/pissa-llama", components)
        let expected = try CheckpointHandle(path: golden.path("expected.safetensors"), components: components)
        let engine = try engine(Self.pissa)
        let names = expected.tensors.keys.filter { $0.hasSuffix(".product") }.map { String($0.dropLast(8)) }
        #expect(names.count == 3)
        for name in names {
            let product = try #require(expected.tensors[name + ".product"])
            let wanted = try expected.floats(product)
            let a = try engine.parameters.values("base_model.model.\(name).lora_A.weight")
            let b = try engine.parameters.values("base_model.model.\(name).lora_B.weight")
            let (rows, columns) = (product.shape[0], product.shape[1])
            var error: Float = 0
            for row in 0..<rows {
                for column in 0..<columns {
                    // scale = alpha / rank = 2.
                    let found = (0..<4).reduce(Float(0)) { $0 + 2 * b[row * 4 + $1] * a[$1 * columns + column] }
                    error = max(error, abs(found - wanted[row * columns + column]))
                }
            }
            #expect(error < 1e-5, "\(name) differs by \(error)")
        }
    }

    @Test(arguments: ["pissa", "pissa_niter_16", "gaussian", "true"]) func trainingStartsFromTheModelAsItIs(
        start: String
    ) throws {
        let batch = try batch()
        let plain = try engine(nil, isTarget: { _ in true }).evaluate(batch, normalizer: 1).loss
        let adapted = try engine(["rank": 4, "alpha": 8, "dropout": 0.1, "init_weights": .string(start)])
            .evaluate(batch, normalizer: 1).loss
        #expect(abs(plain - adapted) < 1e-4 * plain, "\(adapted), wanted \(plain)")
    }

    @Test func aTrainedPrincipalAdapterIsAnOrdinaryOneOfTwiceTheRank() throws {
        let scratch = Scratch()
        let tuner = try TunerHandle(id: "lora", settings: Self.pissa, components: components)
        let trained = try engine(Self.pissa)
        let batch = try batch()
        for step in 1...5 {
            _ = try trained.forwardBackward(batch, normalizer: 50, accumulates: false)
            try trained.step(step, learningRates: ["": 1e-3], weightDecay: 0.1, gradientScale: 1)
        }
        try Adapter.save(trained, tuner: tuner, to: scratch.path, components: components)
        let adapter = try Adapter(directory: scratch.path, components: components)
        #expect(adapter.config["r"]?.int == 8)
        #expect(adapter.config["lora_alpha"]?.double == 16)
        let plain = try TunerHandle(id: "lora", adapterConfig: adapter.config, components: components)
        let model = try Model(path: Golden.root + "families/llama", components: components)
        let loaded = try TrainingEngine(
            model: model, objective: try ObjectiveHandle(id: "sft", settings: [:], components: components),
            optimizer: try OptimizerHandle(id: "adamw", settings: [:], components: components),
            options: .init(tuner: plain, isTarget: adapter.isTarget))
        try loaded.load(adapter)
        let losses = (try trained.evaluate(batch, normalizer: 50).loss, try loaded.evaluate(batch, normalizer: 50).loss)
        #expect(abs(losses.0 - losses.1) < 1e-5 * losses.0, "\(losses)")
        // A run that goes on gets its own halves back to the bit.
        let resumed = try engine(Self.pissa)
        try resumed.load(adapter)
        for entry in trained.parameters.entries {
            #expect(try resumed.parameters.values(entry.name) == trained.parameters.values(entry.name))
        }
        #expect(try resumed.evaluate(batch, normalizer: 50).loss == losses.0)
    }

    @Test func aRankAboveTheWidthIsRefusedForPrincipalValues() {
        #expect { try engine(["rank": 1000, "init_weights": "pissa"]) } throws: { "\($0)".contains("singular values") }
        #expect { try engine(["rank": 4, "init_weights": "loftq"]) } throws: { "\($0)".contains("pissa_niter_N") }
    }

    // MARK: Noise

    @Test func embeddingNoiseIsOfTraining() throws {
        let batch = try batch()
        func losses(_ alpha: Double, _ noise: UInt64) throws -> (training: Double, evaluation: Double) {
            let engine = try engine(["rank": 4, "dropout": 0], options: { $0.embeddingNoise = alpha })
            return (
                try engine.forwardBackward(batch, normalizer: 50, accumulates: false, noise: noise).loss,
                try engine.evaluate(batch, normalizer: 50).loss
            )
        }
        let quiet = try losses(0, 1)
        let (first, again, other) = (try losses(5, 1), try losses(5, 1), try losses(5, 2))
        #expect(first.training == again.training)
        #expect(first.training != quiet.training && first.training != other.training)
        #expect(first.evaluation == quiet.evaluation)
        // Embeddings here are of about 1e-2 and more: alpha 1e-4 moves the loss by little.
        let faint = try losses(1e-4, 1).training
        #expect(abs(faint - quiet.training) < 1e-3 * abs(first.training - quiet.training) + 1e-6)
    }

    @Test func uniformNumbersEqualTheReferenceAndAreEven() throws {
        let graph = Graph()
        let seed = graph.input("seed", ValueType([2], .u32))
        graph.seed = seed
        let numbers = try graph.emit("uniform", [], [("shape", .ints([64, 1000]))])[0]
        let device = try Device(component: try components.component(kind: "martlet.device/1", id: "cpu"))
        let program = try Program(graph, outputs: [numbers], device: device, arena: SharedArena(device: device))
        let words = try device.upload([UInt32(7), 9])
        try program.run { $0 == seed ? words : nil }
        let found = try program.read(numbers, as: Float.self)
        var reference = ReferenceRun(graph)
        reference.set(seed, [7, 9])
        #expect(try reference.run([numbers])[0] == found.map(Double.init))
        // Mean 1/2 and variance 1/12 within five standard errors of 64 000 draws.
        let mean = found.reduce(0) { $0 + Double($1) } / Double(found.count)
        let variance = found.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(found.count)
        #expect(abs(mean - 0.5) < 5 * 0.2887 / 253)
        #expect(abs(variance - 1 / 12) < 5 * 0.0745 / 253)
        #expect(found.allSatisfy { $0 >= 0 && $0 < 1 })
    }

    @Test func dropoutFollowsTheSeedAlone() throws {
        let batch = try batch()
        func loss(_ seed: UInt64, _ noise: UInt64, _ recompute: Graph.Recomputation = .none) throws -> (Double, [Float])
        {
            let engine = try engine(
                ["rank": 4, "dropout": 0.5, "init_weights": "false"],
                options: {
                    $0.seed = seed
                    $0.recompute = recompute
                })
            let loss = try engine.forwardBackward(batch, normalizer: 50, accumulates: false, noise: noise).loss
            return (loss, try engine.parameters.gradient(engine.parameters.entries[0].name))
        }
        let first = try loss(1, 1)
        let again = try loss(1, 1)
        #expect(first.0 == again.0 && first.1 == again.1)
        #expect(try loss(1, 2).0 != first.0)
        #expect(try loss(2, 1).0 != first.0)
        // Blocks that are computed again draw the same zeros.
        let recomputed = try loss(1, 1, .blocks)
        #expect(recomputed.0 == first.0)
        #expect(zip(recomputed.1, first.1).allSatisfy { abs($0 - $1) <= 1e-5 * (first.1.map(abs).max() ?? 0) })
    }
}
