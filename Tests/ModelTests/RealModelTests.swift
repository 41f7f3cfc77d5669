import Glibc
import Graph
import Host
import JSON
import Model
import Testing

/// Published GGUF files against llama.cpp and transformers, both run in f32 on the decoded weights; see Tests/Oracles/README.md.
@Suite(.serialized) struct RealModelTests {
    private static let files = [
        ("smollm2-135m-instruct", "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
        ("qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-0.5b/Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf"),
        ("gemma3-270m", "gemma3-270m/gemma-3-270m-q4_k_m.gguf"),
    ]
    private static func asset(_ path: String) -> String? {
        guard let root = getenv("MARTLET_ASSETS").map({ String(cString: $0) }) else { return nil }
        return access("\(root)/\(path)", R_OK) == 0 ? "\(root)/\(path)" : nil
    }
    static let present = files.filter { asset($0.1) != nil }.map(\.0)

    private let components: Registry

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
    }

    private func open(_ name: String) throws -> (model: Model, golden: JSON) {
        let path = try #require(Self.files.first { $0.0 == name }.flatMap { Self.asset($0.1) })
        var options = Model.Options()
        options.activation = "f32"
        let golden = try JSON(parsing: String(contentsOf: FamilyGolden.root + "../real/\(name).json"))
        return (try Model(path: path, options: options, components: components), golden)
    }

    private func ids(_ value: JSON?) -> [Int32] { (value?.array ?? []).compactMap(\.int).map(Int32.init) }

    @Test(.enabled(if: !present.isEmpty, "MARTLET_ASSETS names no folder with the files"), arguments: present)
    func idsAndGreedyTextAreThoseOfTheReferences(name: String) throws {
        let (model, golden) = try open(name)
        let scorer = Scorer(model)
        for sample in golden["greedy"]?.array ?? [] {
            let prompt = ids(sample["prompt_ids"]), greedy = ids(sample["greedy_ids"])
            let text = try #require(sample["prompt"]?.string)
            #expect(try model.tokenizer.encode(text, options: [.addSpecial, .parseSpecial]) == prompt, "\(text)")
            try #require(!greedy.isEmpty)
            // Fed with the reference's text, each next token is the reference's.
            let logits = try scorer.logits(prompt + greedy.dropLast())
            let width = model.shape.vocabulary
            let gaps = (sample["gap"]?.array ?? []).compactMap(\.double)
            // Where two tokens are as good as equal, rounding may choose.
            for (step, wanted) in greedy.enumerated() where gaps[step] > 0.05 {
                let row = (prompt.count - 1 + step) * width
                let best = (0..<width).max { logits[row + $0] < logits[row + $1] }
                #expect(best == Int(wanted), "step \(step) after \(text)")
            }
        }
    }

    @Test(.enabled(if: !present.isEmpty, "MARTLET_ASSETS names no folder with the files"), arguments: present)
    func perplexityEqualsThatOfTheReferences(name: String) throws {
        let (model, golden) = try open(name)
        let text = ids(golden["nll"]?["ids"])
        let wanted = (golden["nll"]?["nll"]?.array ?? []).compactMap(\.double)
        let found = try Scorer(model).logprobs(text).map { -Double($0) }
        try #require(found.count == wanted.count)
        let errors = zip(found, wanted).map { abs($0 - $1) }
        #expect(errors.reduce(0, +) / Double(errors.count) < 0.01)
        #expect(errors.allSatisfy { $0 < 0.1 })
        let perplexity = exp(found.reduce(0, +) / Double(found.count))
        let reference = try #require(golden["nll"]?["perplexity_transformers"]?.double)
        #expect(abs(perplexity / reference - 1) < 5e-4)
    }

    private static let whisper = asset("whisper-tiny.en/model.safetensors").map { String($0.dropLast(18)) }

    /// Whisper tiny.en over Kennedy's sentence, against CTranslate2 in f32; see Tests/Oracles/whisper_ctranslate2.py.
    @Test(
        .enabled(
            if: whisper != nil && sharedData("audio/reference_whisper.json") != nil,
            "MARTLET_ASSETS holds no whisper-tiny.en, or shared/data is absent"))
    func aSpokenSentenceIsHeardAsTheReferenceHearsIt() throws {
        let path = try #require(Self.whisper)
        let text = try String(contentsOf: #require(sharedData("audio/reference_whisper.json")))
        let run = try #require(try JSON(parsing: text)["runs"]?[0])
        var options = Model.Options()
        options.activation = "f32"
        let model = try Model(path: path, options: options, components: components)
        let features = try FeatureItems(path: path + "/features.safetensors", components: components)
        let states = try SequenceRunner(model).run([], features: features) { graph, inputs in
            try model.family.build("encoder", in: graph, inputs)
        }[0]
        for sample in run["encoder_out_samples"]?.array ?? [] {
            let row = try #require(sample[0]?.int) * model.shape.hidden
            // The reference rounds to four places.
            for (i, value) in (sample[1]?.array ?? []).enumerated() {
                #expect(try abs(Double(states[row + i]) - #require(value.double)) < 2e-3, "state \(row), \(i)")
            }
        }
        let (prompt, words) = (ids(run["prompt_ids"]), ids(run["token_ids"]))
        let logits = try Scorer(model).logits(prompt + words, features: features)
        let width = model.shape.vocabulary
        var total = 0.0
        for (step, wanted) in words.enumerated() {
            let row = logits[(prompt.count - 1 + step) * width..<(prompt.count + step) * width]
            let best = row.indices.max { row[$0] < row[$1] }.map { $0 - row.startIndex }
            #expect(best == Int(wanted), "word \(step)")
            let top = Double(row.max() ?? 0)
            total += Double(row[row.startIndex + Int(wanted)]) - top - log(row.reduce(0) { $0 + exp(Double($1) - top) })
        }
        let mean = try #require(run["mean_logprob"]?.double)
        // Where the text ends counts there as a word.
        #expect(abs(total / Double(words.count) - mean) < 2e-3)
    }
}
