import Graph
import Host
import JSON
import Model
import Testing

/// Models of sound and images against transformers, on small random ones; see Tests/Oracles/media_families.py.
@Suite(.serialized) struct MediaFamilyTests {
    let components: Registry

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
    }

    private func open(_ variant: String) throws -> (model: Model, golden: FamilyGolden, features: FeatureItems) {
        let path = FamilyGolden.root + variant
        return (
            try Model(path: path, components: components), try FamilyGolden(variant, components),
            try FeatureItems(path: path + "/features.safetensors", components: components)
        )
    }

    private func both(_ golden: FamilyGolden, _ name: String) throws -> [Float] {
        try golden.elements("\(name).0") + golden.elements("\(name).1")
    }

    @Test(arguments: ["whisper", "whisper-bare"]) func twoClipsAtOnceGiveTheStatesOfEach(variant: String) throws {
        let (model, golden, features) = try open(variant)
        let states = try SequenceRunner(model).run([], features: features) { graph, inputs in
            try model.family.build("encoder", in: graph, inputs)
        }[0]
        #expect(FamilyGolden.relativeError(states, try both(golden, "states")) <= 1e-4)
    }

    @Test func logitsOfTextOverSoundEqualTransformers() throws {
        let (model, golden, features) = try open("whisper")
        for i in 0..<2 {
            let found = try Scorer(model).logits(golden.elements("ids.\(i)"), features: features[i..<i + 1])
            let wanted: [Float] = try golden.elements("logits.\(i)")
            #expect(FamilyGolden.relativeError(found, wanted) <= 1e-4)
            let width = model.shape.vocabulary
            for row in stride(from: 0, to: found.count, by: width) {
                let columns = 0..<width
                #expect(
                    columns.max { found[row + $0] < found[row + $1] }
                        == columns.max { wanted[row + $0] < wanted[row + $1] })
            }
        }
    }

    /// Both texts in one batch, each over a clip of its own.
    @Test func statesOfSeveralTextsEqualTransformers() throws {
        let (model, golden, features) = try open("whisper-bare")
        let found = try SequenceRunner(model).run(
            [golden.elements("ids.0"), golden.elements("ids.1")], features: features
        ) { graph, inputs in
            try model.family.build(in: graph, inputs)
        }[0]
        #expect(FamilyGolden.relativeError(found, try both(golden, "hidden")) <= 1e-4)
    }

    @Test func aDecoderWithoutSoundSaysWhatItWants() throws {
        let (model, golden, features) = try open("whisper")
        let ids: [Int32] = try golden.elements("ids.0")
        func said(_ body: () throws -> Void) -> String {
            do {
                try body()
                return ""
            } catch { return "\(error)" }
        }
        #expect(said { _ = try Scorer(model).logits(ids) }.contains("--features"))
        let wrong = FeatureItems(names: ["0"], shape: [1, 3, 30], values: [Float](repeating: 0, count: 90))
        let text = said { _ = try Scorer(model).logits(ids, features: wrong) }
        #expect(text.contains("[1, 3, 30]") && text.contains("wanted [n, 8, 1 ... 30]"), "\(text)")
        #expect(said { _ = try EmbeddingHead(model).embeddings(features) }.contains("no vectors of images"))
    }

    @Test func vectorsOfTextsAndImagesEqualTransformers() throws {
        let (model, golden, features) = try open("clip")
        let outputs = try SequenceRunner(model).run(
            [golden.elements("ids.0"), golden.elements("ids.1")], features: features
        ) { graph, inputs in
            try model.family.build("text_vectors", in: graph, inputs)
                + model.family.build("image_vectors", in: graph, inputs)
        }
        for (found, name) in zip(outputs, ["hidden", "text", "patches", "image"]) {
            #expect(FamilyGolden.relativeError(found, try both(golden, name)) <= 1e-4, "\(name)")
        }
        let head = try EmbeddingHead(model)
        let texts = try head.embeddings([golden.elements("ids.0"), golden.elements("ids.1")])
        let images = try head.embeddings(features)
        for (found, name) in [(texts, "text"), (images, "image")] {
            for i in 0..<2 {
                let vector: [Float] = try golden.elements("\(name).\(i)")
                let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
                #expect(FamilyGolden.relativeError(found[i], vector.map { $0 / length }) <= 1e-4, "\(name).\(i)")
            }
        }
    }

    @Test(arguments: ["whisper", "whisper-bare", "clip"]) func theCheckpointIsReadWhole(variant: String) throws {
        let audit = try CheckpointAudit(open(variant).model)
        #expect(audit.problems.isEmpty)
        #expect(audit.unused.isEmpty)
    }

    // MARK: Gradients

    private func loss(_ model: Model, _ golden: FamilyGolden, _ graph: Graph, _ inputs: SequenceInputs) throws -> Value
    {
        if model.shape.context != nil {
            let ids: [Int32] = try golden.elements("ids.0")
            let labels = (ids.dropFirst() + [-100]).flatMap { withUnsafeBytes(of: $0, Array.init) }
            let hidden = try model.family.build(in: graph, inputs)[0]
            let logps = try model.labelLogprobs(
                graph, hidden, labels: graph.constant(ValueType([ids.count], .i32), labels)
            ).logps
            return try graph.emit(
                "scale", graph.emit("sum", [logps]), [("factor", .float(-1 / Double(ids.count - 1)))])[0]
        }
        let text = try model.family.build("text_vectors", in: graph, inputs)[1]
        let image = try model.family.build("image_vectors", in: graph, inputs)[1]
        return try graph.emit("sum", graph.emit("mul", [text, image]))[0]
    }

    @Test(arguments: ["whisper", "clip"]) func gradientsEqualTransformers(variant: String) throws {
        let (model, golden, features) = try open(variant)
        let isSound = model.shape.context != nil
        let file = try JSON(parsing: String(contentsOf: FamilyGolden.root + variant + "/gradients.json"))
        let wanted = try #require(file["gradients"]?.object)
        var names: [String] = []
        let ids: [[Int32]] =
            try isSound ? [golden.elements("ids.0")] : [golden.elements("ids.0"), golden.elements("ids.1")]
        let found = try SequenceRunner(model).run(ids, features: isSound ? features[0..<1] : features) {
            graph, inputs in
            let loss = try loss(model, golden, graph, inputs)
            let parameters = graph.parameters.values.sorted { $0.index < $1.index }
            names = parameters.compactMap { graph.parameter($0)?.name }
            return [loss] + (try graph.differentiate(loss, with: parameters).compactMap { $0 })
        }
        #expect(abs(Double(found[0][0]) - (file["loss"]?.double ?? 0)) < 1e-4)
        try #require(found.count == names.count + 1)
        for (name, gradient) in zip(names, found.dropFirst()) {
            // An encoder's sinusoids are not trained by transformers.
            guard let entry = wanted[name] else {
                #expect(name == "model.encoder.embed_positions.weight")
                continue
            }
            let norm = try #require(entry["norm"]?.double)
            let length = gradient.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
            #expect(abs(length - norm) <= 1e-4 * max(norm, 0.02), "\(name): norm \(length), wanted \(norm)")
            for place in entry["at"]?.array ?? [] {
                let index = try #require(place[0]?.int)
                let value = try #require(place[1]?.double)
                #expect(abs(Double(gradient[index]) - value) <= 1e-4 * max(norm, 0.02), "\(name)[\(index)]")
            }
        }
        #expect(wanted.count >= names.count - 1)
    }

    /// What a tuner adds at each site of both towers has a gradient that finite differences confirm.
    @Test(arguments: ["whisper", "clip"]) func tunersReachBothTowers(variant: String) throws {
        let (model, golden, features) = try open(variant)
        let isSound = model.shape.context != nil
        let ids: [[Int32]] =
            try isSound ? [golden.elements("ids.0")] : [golden.elements("ids.0"), golden.elements("ids.1")]
        func run(_ strength: Float) throws -> (loss: Double, slope: Double, sites: [String]) {
            var sites: [String] = []
            let outputs = try SequenceRunner(model).run(ids, features: isSound ? features[0..<1] : features) {
                graph, inputs in
                let strengths = try graph.constant([strength], [1])
                graph.adaptLinear = { [unowned graph] site in
                    sites.append(site.name)
                    func factor(_ shape: [Int], _ by: Int) throws -> Value {
                        try graph.constant((0..<shape[0] * shape[1]).map { Float($0 * by % 7) / 21 - 0.1 }, shape)
                    }
                    // Low-rank, as LoRA: y + s · B A x.
                    let low = try graph.emit("matmul", [site.x, factor([site.inWidth, 2], 3)])[0]
                    let change = try graph.emit("matmul", [low, factor([2, site.outWidth], 5)])[0]
                    return try graph.emit("add", [site.y, graph.emit("mul", [change, strengths])[0]])[0]
                }
                let loss = try loss(model, golden, graph, inputs)
                let slope = try graph.differentiate(loss, with: [strengths])[0]
                return [loss, try #require(slope)]
            }
            return (Double(outputs[0][0]), Double(outputs[1][0]), sites)
        }
        let (_, slope, sites) = try run(0)
        let step: Float = 2e-3
        let numeric = try (run(step).loss - run(-step).loss) / Double(2 * step)
        #expect(abs(slope - numeric) < 3e-2 * max(1, abs(numeric)), "\(slope), wanted \(numeric)")
        let outline = Set(try model.outline().sites.map(\.name))
        #expect(outline == Set(sites))
        for tower in isSound ? ["encoder", "decoder"] : ["text_model", "vision_model"] {
            #expect(sites.contains { $0.contains(tower) && $0.hasSuffix("self_attn.q_proj") }, "\(tower)")
        }
        if isSound { #expect(outline.contains("model.decoder.layers.1.encoder_attn.k_proj")) }
    }
}
