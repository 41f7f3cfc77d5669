import Glibc
import Host
import JSON
import Model
import Serving
import Testing

/// A file that some tests read and that the repository does not hold: below the folder that `variable` names, or below
/// `beside` next to one of the folders above this file.
func outside(_ variable: String, beside: String, _ path: String) -> String? {
    var roots = [getenv(variable).map { String(cString: $0) }].compactMap { $0 }
    var folder = #filePath.split(separator: "/")
    while folder.popLast() != nil { roots.append(folder.reduce("") { $0 + "/" + $1 } + "/" + beside) }
    return roots.map { "\($0)/\(path)" }.first { access($0, R_OK) == 0 }
}

/// Published models, against llama.cpp and transformers in f32 (Tests/Oracles/real_models.py).
@Suite(.serialized) struct RealAnswersTests {
    let components: Registry
    let runners: ModelRunnerService

    init() throws { (components, runners) = try Installed.opened() }

    private static func model(_ name: String) -> String? { outside("MARTLET_ASSETS", beside: "assets", name) }
    private static let stories = outside("MARTLET_SHARED_DATA", beside: "shared/data", "weights/stories260K")
    private static let models = [
        ("smollm2-135m-instruct", "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
        ("gemma3-270m", "gemma3-270m/gemma-3-270m-q4_k_m.gguf"),
        ("qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-0.5b/Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf"),
    ].filter { model($0.1) != nil }

    @Test(arguments: models)
    func allPromptsAtOnceSayWhatLlamaCppSaysInF32(name: String, file: String) throws {
        let path =
            #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Goldens/real/\(name).json"
        let handle = try #require(fopen(path, "rb"), "\(path)")
        defer { fclose(handle) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while case let count = fread(&chunk, 1, chunk.count, handle), count > 0 { bytes += chunk[..<count] }
        let cases = try #require(JSON(parsing: bytes)["greedy"]?.array)
        var options = Model.Options()
        options.activation = "f32"
        let model = try Model(path: try #require(Self.model(file)), options: options, components: components)
        let service = try TextService(
            model, runners: runners, options: JSONObject([("max_model_len", 256), ("max_tokens_per_step", 24)]),
            components: components)
        var settings = GenerationSettings()
        settings.temperature = 0
        settings.maximumTokens = 64
        let answers = try cases.map { one in
            try service.submit((one["prompt_ids"]?.array ?? []).compactMap(\.int).map(Int32.init), settings)
        }
        while try service.step() {}
        for (answer, one) in zip(answers, cases) {
            // The golden ids hold the end token, with which the engine ends; they are certain as far as the lead is more than rounding.
            let ids = (one["greedy_ids"]?.array ?? []).compactMap(\.int).map(Int32.init)
            let gaps = (one["gap"]?.array ?? []).compactMap(\.double)
            let certain = gaps.firstIndex { $0 < 2e-3 } ?? gaps.count
            let wanted = Array(ids.prefix(certain).filter { !model.endTokens.contains($0) })
            #expect(Array(answer.tokens.prefix(wanted.count)) == wanted, "\(one["prompt"]?.string ?? "")")
        }
    }

    @Test(.enabled(if: stories != nil, "shared/data is absent"), arguments: ["hf", "stories260K.gguf"])
    func greedyTextEqualsThePublishedStory(form: String) throws {
        let folder = try #require(Self.stories)
        let model = try Model(path: "\(folder)/\(form)", components: components)
        let service = try TextService(model, runners: runners, components: components)
        var settings = GenerationSettings()
        settings.temperature = 0
        settings.maximumTokens = 120
        var pieces = ""
        let answer = try service.submit([1], settings) { pieces += $0 }
        try service.finish(answer)
        let handle = try #require(fopen("\(folder)/greedy_story.txt", "rb"))
        defer { fclose(handle) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let story = String(decoding: bytes[..<fread(&bytes, 1, bytes.count, handle)], as: UTF8.self)
        #expect(answer.text.count > 200 && story.contains(answer.text.drop { $0 == " " }), "\(answer.text)")
        #expect(pieces == answer.text && answer.end == .length && answer.tokens.count == 120)
        // A stop word cuts the same text, and nothing of it comes out.
        settings.stopWords = ["girl"]
        let cut = try service.submit([1], settings)
        try service.finish(cut)
        let upTo = try #require(answer.text.range(of: "girl"))
        #expect(cut.end == .stop && cut.text == answer.text[..<upTo.lowerBound])
    }
}

extension String {
    /// The first place of a text in this one.
    fileprivate func range(of text: String) -> Range<Index>? { ranges(of: text).first }
}
