import Graph
import Host
import Model
import Testing

/// Encoders against transformers, on small random models.
@Suite(.serialized) struct EncoderGoldenTests {
    let components: Registry

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
    }

    @Test(arguments: ["bert", "xlm_roberta"]) func statesAndPooledOutputsEqualTransformers(variant: String) throws {
        let model = try Model(path: FamilyGolden.root + variant, components: components)
        let golden = try FamilyGolden(variant, components)
        // Both sequences in one batch: neither may see the other.
        let sequences: [[Int32]] = [try golden.elements("ids.0"), try golden.elements("ids.1")]
        let outputs = try run(model, sequences)
        let states: [Float] = try golden.elements("hidden.0") + golden.elements("hidden.1")
        let pooled: [Float] = try golden.elements("pooled.0") + golden.elements("pooled.1")
        #expect(FamilyGolden.relativeError(outputs[0], states) <= 1e-4)
        #expect(FamilyGolden.relativeError(outputs[1], pooled) <= 1e-4)
    }

    private func run(_ model: Model, _ sequences: [[Int32]]) throws -> [[Float]] {
        let graph = model.makeGraph()
        let ids = sequences.flatMap { $0 }
        let inputs = SequenceInputs(graph, tokens: ids.count, segments: sequences.count)
        let outputs = try model.family.build(
            "encoder", in: graph, ids: inputs.ids, positions: inputs.positions, segments: inputs.segments)
        graph.settleLayouts()
        let program = try Program(graph, outputs: outputs, device: model.device, arena: SharedArena(device: model.device))
        let bound: [Value: DeviceBuffer] = [
            inputs.ids: try model.device.upload(ids),
            inputs.positions: try model.device.upload(sequences.flatMap { $0.indices.map(Int32.init) }),
            inputs.segments: try model.device.upload(
                sequences.reduce(into: [Int32(0)]) { $0.append(($0.last ?? 0) + Int32($1.count)) }),
        ]
        let weights = try WeightBinding(graph, model.weights)
        try program.run { bound[$0] ?? weights[$0] }
        return try outputs.map { try program.read($0, as: Float.self) }
    }
}
