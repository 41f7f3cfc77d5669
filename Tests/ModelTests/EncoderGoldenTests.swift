import Glibc
import Host
import Graph
import JSON
import Model
import Testing

/// Encoders and heads over sequences against transformers, on small random models.
@Suite(.serialized) struct EncoderGoldenTests {
    let components: Registry

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
    }

    /// Both sequences in one batch: neither may see the other.
    private func sequences(_ golden: FamilyGolden) throws -> [[Int32]] {
        [try golden.elements("ids.0"), try golden.elements("ids.1")]
    }

    @Test(arguments: ["bert", "xlm_roberta", "modernbert", "qwen3-embedding", "gemma3_text-embedding"])
    func statesAndPooledOutputsEqualTransformers(variant: String) throws {
        let model = try Model(path: FamilyGolden.root + variant, components: components)
        let golden = try FamilyGolden(variant, components)
        let outputs = try SequenceRunner(model).run(sequences(golden)) { graph, inputs in
            try model.family.build(model.shape.parts[0], in: graph, inputs)
        }
        let states: [Float] = try golden.elements("hidden.0") + golden.elements("hidden.1")
        #expect(FamilyGolden.relativeError(outputs[0], states) <= 1e-4)
        guard golden.contains("pooled.0") else { return }
        let pooled: [Float] = try golden.elements("pooled.0") + golden.elements("pooled.1")
        #expect(FamilyGolden.relativeError(outputs[1], pooled) <= 1e-4)
    }

    @Test(arguments: [
        "bert-classifier", "xlm_roberta-classifier", "modernbert-classifier", "llama-classifier", "qwen2-reward",
    ])
    func scoresOfSequencesEqualTransformers(variant: String) throws {
        let model = try Model(path: FamilyGolden.root + variant, components: components)
        let golden = try FamilyGolden(variant, components)
        let head = try ClassifierHead(model)
        let found = try head.scores(sequences(golden))
        for i in 0..<2 {
            let wanted: [Float] = try golden.elements("scores.\(i)")
            #expect(FamilyGolden.relativeError(found[i], wanted) <= 1e-4, "sequence \(i)")
            #expect(head.labels.count == wanted.count)
        }
    }

    @Test(arguments: ["bert-mlm", "modernbert-mlm"]) func logitsOfMaskedWordsEqualTransformers(variant: String) throws {
        let model = try Model(path: FamilyGolden.root + variant, components: components)
        let golden = try FamilyGolden(variant, components)
        for i in 0..<2 {
            let found = try Scorer(model).logits(golden.elements("ids.\(i)"))
            #expect(FamilyGolden.relativeError(found, try golden.elements("logits.\(i)")) <= 1e-4, "sequence \(i)")
        }
    }

    @Test(arguments: ["bert-tokens", "xlm_roberta-tokens", "modernbert-tokens", "llama-tokens"])
    func scoresOfTokensEqualTransformers(variant: String) throws {
        let model = try Model(path: FamilyGolden.root + variant, components: components)
        let golden = try FamilyGolden(variant, components)
        #expect(try CheckpointAudit(model).unused.isEmpty && model.task == .tokens)
        let head = try TokenClassifierHead(model)
        #expect(head.labels == ["O", "B", "I"])
        for (i, found) in try head.scores(sequences(golden)).enumerated() {
            #expect(FamilyGolden.relativeError(found.flatMap { $0 }, try golden.elements("names.\(i)")) <= 1e-4)
        }
    }

    @Test func aPairOfTextsIsScoredWithItsTypes() throws {
        let model = try Model(path: FamilyGolden.root + "bert-reranker", components: components)
        let golden = try FamilyGolden("bert-reranker", components)
        let head = try ClassifierHead(model)
        let ids = try sequences(golden)
        let types: [[Int32]] = [try golden.elements("types.0"), try golden.elements("types.1")]
        for (i, found) in try head.scores(ids, types: types).enumerated() {
            let wanted: [Float] = try golden.elements("pair_scores.\(i)")
            #expect(FamilyGolden.relativeError(found, wanted) <= 1e-4)
            // A single score is shown as a probability: sentence-transformers' CrossEncoder.
            #expect(abs(head.relevance(found)[0] - 1 / (1 + exp(-Double(wanted[0])))) < 1e-4)
        }
        let alone = try head.scores(ids)
        #expect(FamilyGolden.relativeError(alone[0], try golden.elements("scores.0")) <= 1e-4)
    }

    @Test func layersBehindThePoolingGiveWhatSentenceTransformersGives() throws {
        let root = FamilyGolden.root + "../heads/dense"
        let model = try Model(path: root, components: components)
        let golden = try FamilyGolden("../heads/dense", components)
        let head = try EmbeddingHead(model)
        #expect(head.poolings == [.cls, .mean] && model.task == .embedding)
        for (i, vector) in try head.embeddings(sequences(golden)).enumerated() {
            #expect(FamilyGolden.relativeError(vector, try golden.elements("embedding.\(i)")) <= 1e-4)
        }
        #expect(try head.prompted("why", name: "query") == "query: why" && head.prompted("why", name: nil) == "why")
        #expect(throws: ModelError.self) { try head.prompted("why", name: "passage") }
    }

    @Test func aVectorOfADecoderIsItsLastStateOfUnitLength() throws {
        let model = try Model(path: FamilyGolden.root + "qwen3-embedding", components: components)
        let golden = try FamilyGolden("qwen3-embedding", components)
        let vectors = try EmbeddingHead(model).embeddings(sequences(golden))
        for i in 0..<2 {
            let last = Array(try golden.elements("hidden.\(i)").suffix(model.shape.hidden)) as [Float]
            let length = last.reduce(0) { $0 + $1 * $1 }.squareRoot()
            #expect(FamilyGolden.relativeError(vectors[i], last.map { $0 / length }) <= 1e-4)
        }
    }

    @Test func aModelWithoutAHeadForSequencesSaysSo() throws {
        let model = try Model(path: FamilyGolden.root + "llama", components: components)
        #expect(throws: ModelError.self) { try ClassifierHead(model) }
    }
}
