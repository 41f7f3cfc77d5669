import Foundation
import JSON
import Testing

@testable import TokenizerCore

/// Ids equal to those of the models' own libraries, on the vectors kept with the shared data.
@Suite struct VectorTests {
    @Test(
        arguments: ["qwen2", "llama-bpe", "llama-spm", "gpt-2", "bert-bge", "phi-3", "deepseek-llm", "gemma-4"])
    func `A vocabulary in GGUF form encodes llama.cpp's test vectors as the model's own tokenizer does`(name: String)
        throws
    {
        guard let file = sharedData("tokenizers/gguf/ggml-vocab-\(name).gguf.gz"),
            let inputs = sharedData("tokenizers/gguf/ggml-vocab-\(name).gguf.inp"),
            let outputs = sharedData("tokenizers/gguf/ggml-vocab-\(name).gguf.out")
        else { return print("skipped: no shared data for \(name)") }
        let tokenizer = try makeTokenizer(["gguf.json": tokenizerMetadata(gguf: contents(file))])
        let texts = String(decoding: try contents(inputs), as: UTF8.self)
            .components(separatedBy: "\n__ggml_vocab_test__\n")
        let lines = String(decoding: try contents(outputs), as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        var compared = 0
        for (text, line) in zip(texts, lines) {
            let wanted = line.split(separator: " ").compactMap { Int32($0) }
            let framed = name == "bert-bge" ? try tokenizer.ids(text, special: true) : try tokenizer.ids(text)
            let found = name == "bert-bge" && wanted.first != 101 ? Array(framed.dropFirst().dropLast()) : framed
            #expect(found == wanted, "\(name): \(text.debugDescription)")
            compared += 1
        }
        #expect(compared >= 40)
    }

    struct Reference: CustomTestStringConvertible, Sendable {
        let name: String
        /// File names of the tokenizer, and where each lies.
        let files: [(String, String)]
        var special = false
        var parse = false
        var testDescription: String { name }
    }

    static let references = [
        Reference(name: "gpt2", files: [("gpt2.tiktoken", "shared:tokenizers/whisper/gpt2.tiktoken.gz")]),
        Reference(
            name: "whisper-multilingual",
            files: [("multilingual.tiktoken", "shared:tokenizers/whisper/multilingual.tiktoken.gz")]),
        Reference(name: "mistral-v1", files: [("tokenizer.model", "shared:tokenizers/mistral/tokenizer.model.v1")]),
        Reference(
            name: "mistral-v3",
            files: [("tokenizer.model", "shared:tokenizers/mistral/mistral_instruct_tokenizer_240323.model.v3")]),
        Reference(
            name: "spm-unigram-test", files: [("test_model.model", "shared:tokenizers/sentencepiece/test_model.model")]),
        Reference(
            name: "stories260K", files: [("tokenizer.json", "shared:weights/stories260K/hf/tokenizer.json")],
            parse: true),
        Reference(name: "qwen2", files: [("qwen.tiktoken", "asset:tokenizers/qwen/qwen.tiktoken")]),
        Reference(name: "llama3", files: [("tokenizer.model", "asset:tokenizers/llama3/tokenizer.model")]),
        Reference(
            name: "deepseek-v4", files: [("tokenizer.json", "asset:tokenizers/deepseek/tokenizer.json")], parse: true),
        Reference(
            name: "minilm", files: [("tokenizer.json", "asset:all-MiniLM-L6-v2/tokenizer.json")], special: true,
            parse: true),
        Reference(
            name: "whisper-tiny.en-hf", files: [("tokenizer.json", "asset:whisper-tiny.en-ct2/tokenizer.json")],
            parse: true),
        Reference(name: "tekken-240911", files: [("tekken.json", "asset:tokenizers/mistral/tekken_240911.json")]),
        Reference(
            name: "cl100k_base", files: [("cl100k_base.tiktoken", "asset:tokenizers/cl100k/cl100k_base.tiktoken")]),
        Reference(name: "llama2", files: [("gguf.json", "shared:tokenizers/gguf/ggml-vocab-llama-spm.gguf.gz")]),
        Reference(name: "smollm2", files: [("gguf.json", "asset:smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")]),
        Reference(name: "clip", files: [("clip", "shared:tokenizers/clip/bpe_simple_vocab_16e6.txt.gz")]),
    ]

    static func read(_ reference: Reference) throws -> [String: [UInt8]]? {
        var files: [String: [UInt8]] = [:]
        for (name, place) in reference.files {
            let path = String(place.drop { $0 != ":" }.dropFirst())
            guard let url = place.hasPrefix("shared:") ? sharedData(path) : asset(path) else { return nil }
            if name == "clip" {
                files.merge(try clipFiles(contents(url))) { $1 }
            } else {
                files[name] = name == "gguf.json" ? try tokenizerMetadata(gguf: contents(url)) : try contents(url)
            }
        }
        return files
    }

    /// CLIP ships merges alone; its vocabulary follows from them (openai/CLIP, simple_tokenizer.py).
    static func clipFiles(_ text: [UInt8]) throws -> [String: [UInt8]] {
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        let merges = lines[1..<(49152 - 256 - 2 + 1)].map(String.init)
        // The alphabet in the order of `bytes_to_unicode`: the printable bytes first.
        let order = ByteAlphabet.scalars.enumerated().sorted { a, b in
            (a.element >= 256 ? 1 : 0, a.element) < (b.element >= 256 ? 1 : 0, b.element)
        }
        let letters = order.compactMap { Unicode.Scalar($0.element).map { String($0) } }
        let pieces =
            letters + letters.map { $0 + "</w>" } + merges.map { $0.replacingOccurrences(of: " ", with: "") }
            + ["<|startoftext|>", "<|endoftext|>"]
        var vocabulary = JSONObject()
        for (id, piece) in pieces.enumerated() where vocabulary[piece] == nil { vocabulary[piece] = .int(Int64(id)) }
        return [
            "vocab.json": Array(JSON.object(vocabulary).text().utf8),
            "merges.txt": Array(("#version: 0.2\n" + merges.joined(separator: "\n")).utf8),
        ]
    }

    @Test(arguments: references)
    func `A released tokenizer encodes 185 texts as its own library does`(reference: Reference) throws {
        guard let texts = try referenceCases(), let wanted = try referenceIDs(reference.name),
            let files = try Self.read(reference)
        else { return print("skipped: no files for \(reference.name)") }
        let tokenizer = try makeTokenizer(files)
        #expect(texts.count == wanted.count)
        var compared = 0
        for (index, (text, wanted)) in zip(texts, wanted).enumerated() {
            if reference.name == "clip", Self.isMended(text) { continue }
            let found = try tokenizer.ids(text, special: reference.special, parse: reference.parse)
            #expect(found == wanted, "\(reference.name) \(index): \(text.debugDescription)")
            compared += 1
        }
        #expect(compared >= 140)
    }

    /// Whether CLIP's own library changes a text before it encodes it (ftfy's heuristics for quotes, widths, ligatures
    /// and controls, and HTML's entities) or reads a special token in it: tokenizer files ask for none of that.
    static func isMended(_ text: String) -> Bool {
        text.contains("&") || text.contains("<|")
            || text.unicodeScalars.contains { scalar in
                switch scalar.value {
                case 0x0B, 0x2018...0x201F, 0x3000, 0xFB00...0xFB06, 0xFEFF, 0xFF01...0xFFEE: true
                default: false
                }
            }
    }
}
