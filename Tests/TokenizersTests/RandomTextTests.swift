import Foundation
import JSON
import Testing

@testable import TokenizerCore

/// Random Unicode and broken UTF-8 through eight vocabularies, against their own libraries (Tests/Oracles/random_text.py).
@Suite struct RandomTextTests {
    static let places: [String: (name: String, place: String)] = [
        "gpt2": ("gpt2.tiktoken", "shared:tokenizers/whisper/gpt2.tiktoken.gz"),
        "qwen2": ("qwen.tiktoken", "asset:tokenizers/qwen/qwen.tiktoken"),
        "llama3": ("tokenizer.model", "asset:tokenizers/llama3/tokenizer.model"),
        "mistral-v1": ("tokenizer.model", "shared:tokenizers/mistral/tokenizer.model.v1"),
        "mistral-v3": ("tokenizer.model", "shared:tokenizers/mistral/mistral_instruct_tokenizer_240323.model.v3"),
        "unigram": ("test_model.model", "shared:tokenizers/sentencepiece/test_model.model"),
        "minilm": ("tokenizer.json", "asset:all-MiniLM-L6-v2/tokenizer.json"),
        "deepseek": ("tokenizer.json", "asset:tokenizers/deepseek/tokenizer.json"),
    ]

    @Test func `Random Unicode and broken UTF-8 give the ids of the official libraries`() throws {
        let golden = try JSON(parsing: golden("random.json"))
        let strings = golden["strings"]?.array?.compactMap(\.string) ?? []
        let broken = golden["bytes"]?.array ?? []
        for (vocabulary, entry) in golden["vocabularies"]?.object ?? JSONObject() {
            let key = vocabulary.hasPrefix("deepseek") ? "deepseek" : vocabulary
            guard let (name, place) = Self.places[key],
                let files = try VectorTests.read(.init(name: vocabulary, files: [(name, place)]))
            else {
                print("skipped: no files for \(vocabulary)")
                continue
            }
            let tokenizer = try makeTokenizer(files)
            let ids = entry["ids"]?.array?.map(PartsTests.ids) ?? []
            #expect(ids.count == strings.count + broken.count)
            var differing = 0
            for (text, wanted) in zip(strings, ids) where try tokenizer.ids(text) != wanted {
                differing += 1
                if differing <= 5 {
                    #expect(try tokenizer.ids(text) == wanted, "\(vocabulary): \(text.debugDescription)")
                }
            }
            for (entry, wanted) in zip(broken, ids.dropFirst(strings.count)) {
                let bytes = Array(try #require(Data(base64Encoded: entry["base64"]?.string ?? "")))
                if try tokenizer.ids(bytes) != wanted {
                    differing += 1
                    if differing <= 5 { #expect(try tokenizer.ids(bytes) == wanted, "\(vocabulary): \(entry)") }
                }
            }
            #expect(differing == 0, "\(vocabulary): \(differing) of \(ids.count) differ")
        }
    }

    @Test func `Encoding and decoding byte-level text gives it back`() throws {
        guard let files = try VectorTests.read(.init(name: "", files: [Self.places["gpt2"]!])) else {
            return print("skipped")
        }
        let tokenizer = try makeTokenizer(files)
        let golden = try JSON(parsing: golden("random.json"))
        for text in golden["strings"]?.array?.compactMap(\.string) ?? [] {
            #expect(tokenizer.text(try tokenizer.ids(text)).utf8.elementsEqual(text.utf8))
        }
    }
}
