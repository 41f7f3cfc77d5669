import Files
import Glibc
import JSON
import Model
import Template
import YAML

/// A file that inputs are made from.
package struct Seed: Sendable {
    package let name: String
    package let bytes: [UInt8]

    package init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
    }
}

/// A parser of files from outside, and the small files that its damaged ones are made of.
package struct FuzzTarget: Sendable {
    package let name: String
    /// Folders and files of seeds below Tests/, beside the target's own folder Fuzz/Corpus/NAME.
    var seeds: [String] = []
    let suffixes: [String]
    /// Bytes that reading may take beyond four times the input: tables, buffers and caches that every file of the format
    /// is read with.
    package var base = 4 << 20
    var damage: @Sendable (inout Mutator, _ bytes: [UInt8], _ other: [UInt8]) -> [UInt8] = { $0.damage($1, with: $2) }
    /// Reads one input; throws where it is refused, which is what should happen.
    let read: @Sendable (_ input: Seed, _ place: FuzzPlace) throws -> Void

    /// Larger files are no seeds: mutation would hardly ever meet what counts in them.
    private static let maximumSeed = 1 << 16

    /// The seeds, in the order of their names.
    package func corpus(below tests: String) throws -> [Seed] {
        var found: [String] = []
        func visit(_ path: String) {
            if System.kind(of: path) == .directory {
                for name in (try? System.list(path)) ?? [] { visit(System.join(path, name)) }
            } else if suffixes.contains(where: { path.hasSuffix($0) }), let size = System.size(of: path),
                size <= Self.maximumSeed
            {
                found.append(path)
            }
        }
        for seed in seeds + ["Fuzz/Corpus/\(name)"] { visit(System.join(tests, seed)) }
        return try Set(found).sorted().map { path in
            let file = try MappedFile(path)
            return withExtendedLifetime(file) { Seed(name: System.lastComponent(of: path), bytes: Array(file.bytes)) }
        }
    }

    /// An input made of a seed and parts of another one.
    package func input(_ corpus: [Seed], _ mutator: inout Mutator) -> Seed {
        let seed = mutator.pick(corpus)
        return Seed(name: seed.name, bytes: damage(&mutator, seed.bytes, mutator.pick(corpus).bytes))
    }

    package func run(_ input: Seed, _ place: FuzzPlace) throws { try read(input, place) }

    private static func damagesJSON(
        _ mutator: inout Mutator, _ bytes: [UInt8], _ other: [UInt8]
    ) -> [UInt8] { mutator.damageJSON(bytes, with: other) }

    package static let all: [FuzzTarget] = [
        FuzzTarget(
            name: "json", seeds: ["Goldens/families/llama", "Goldens/tokenizers/parts/limits.json"],
            suffixes: [".json"], damage: damagesJSON
        ) { input, _ in
            try input.bytes.withUnsafeBufferPointer { bytes in
                var walker = JSONParser(bytes)
                _ = try? walker.skipValue()
                var parser = JSONParser(bytes, recordsOffsets: true)
                let value = try parser.document()
                // What was read is written so that it is read as the same.
                let again = try JSON(parsing: value.text())
                guard again.text() == value.text() else { throw Difference(value.text()) }
            }
        },
        FuzzTarget(
            name: "safetensors", seeds: ["Goldens/checkpoints", "CheckpointsTests/Goldens"],
            suffixes: [".safetensors"], damage: { $0.damageSafetensors($1, with: $2) }
        ) { try $1.checkpoint($0.bytes, "input.safetensors") },
        FuzzTarget(name: "index", suffixes: [".index.json"], damage: damagesJSON) {
            try $1.index($0.bytes)
        },
        FuzzTarget(
            name: "gguf", seeds: ["CheckpointsTests/Goldens", "Goldens/quantized"], suffixes: [".gguf"],
            damage: { $0.damageGGUF($1, with: $2) }
        ) { try $1.checkpoint($0.bytes, "input.gguf") },
        FuzzTarget(
            name: "pytorch", seeds: ["Goldens/checkpoints", "CheckpointsTests/Goldens/pytorch"],
            suffixes: [".bin", ".pt"], damage: { $0.damageArchive($1, with: $2) }
        ) { try $1.checkpoint($0.bytes, "input.bin") },
        FuzzTarget(
            name: "tokenizer", seeds: ["Goldens/tokenizers/parts"], suffixes: [".json"], damage: damagesJSON
        ) { try $1.tokenizer([("tokenizer.json", $0.bytes)]) },
        FuzzTarget(name: "sentencepiece", suffixes: [".model"]) { try $1.tokenizer([("tokenizer.model", $0.bytes)]) },
        FuzzTarget(name: "wordlist", suffixes: [".tiktoken", ".txt"]) { try $1.tokenizer([($0.name, $0.bytes)]) },
        FuzzTarget(name: "tekken", suffixes: [".json"], damage: damagesJSON) {
            try $1.tokenizer([("tekken.json", $0.bytes)])
        },
        FuzzTarget(name: "merges", suffixes: [".txt"]) { input, place in
            // vocab.json to the first line's end, merges.txt after it.
            let end = input.bytes.firstIndex(of: 0x0A) ?? input.bytes.endIndex
            let merges = Array(input.bytes[end...].dropFirst())
            try place.tokenizer([("vocab.json", Array(input.bytes[..<end])), ("merges.txt", merges)])
        },
        FuzzTarget(name: "settings", suffixes: [".json"], damage: damagesJSON) { input, place in
            try place.tokenizer([("tokenizer.json", plainTokenizer), ("tokenizer_config.json", input.bytes)])
        },
        // What TemplateBudget lets a rendering make on its way.
        FuzzTarget(name: "template", suffixes: [".jinja"], base: 64 << 20) { input, _ in
            let template = try Template(String(decoding: input.bytes, as: UTF8.self), name: "fuzz")
            _ = try template.render(conversation)
        },
        FuzzTarget(
            name: "config", seeds: ["Goldens/families"], suffixes: ["config.json"],
            // The graph of up to 1024 layers that a configuration of some bytes may ask for.
            base: 32 << 20, damage: damagesJSON
        ) { try $1.family(JSON(parsing: $0.bytes)) },
        FuzzTarget(name: "jsonl", suffixes: [".jsonl"], damage: damagesJSON) { try $1.rows($0.bytes, "input.jsonl") },
        FuzzTarget(name: "array", suffixes: [".json"], damage: damagesJSON) { try $1.rows($0.bytes, "input.json") },
        FuzzTarget(name: "csv", suffixes: [".csv", ".tsv"]) { input, place in
            try place.rows(input.bytes, input.name.hasSuffix("tsv") ? "input.tsv" : "input.csv")
        },
        FuzzTarget(name: "parquet", seeds: ["DatasetsTests/Goldens"], suffixes: [".parquet"]) {
            try $1.rows($0.bytes, "input.parquet")
        },
        // A zstd frame may ask for a window of 128 MiB, as those of `zstd --ultra` do.
        FuzzTarget(name: "gzip", suffixes: [".gz", ".zst"], base: 136 << 20) { input, place in
            try place.rows(input.bytes, input.name.hasSuffix("zst") ? "input.jsonl.zst" : "input.jsonl.gz")
        },
        FuzzTarget(name: "yaml", suffixes: [".yaml"]) { input, _ in _ = try YAML.parse(input.bytes) },
    ]

    /// A value that is not read as it was written.
    private struct Difference: Error, CustomStringConvertible {
        let description: String
        init(_ text: String) { description = text }
    }

    private static let plainTokenizer = Array(
        #"{"added_tokens":[{"id":3,"content":"<s>","special":true}],"pre_tokenizer":{"type":"Whitespace"},"model":{"type":"WordLevel","vocab":{"<unk>":0,"end":1,"Hello":2},"unk_token":"<unk>"}}"#
            .utf8)

    /// What a chat template is given.
    private static let conversation: JSONObject = {
        let call: JSON = ["type": "function", "function": ["name": "f", "arguments": ["x": 1]]]
        let messages: JSON = [
            ["role": "system", "content": "Be brief."], ["role": "user", "content": "Hi <b>"],
            ["role": "assistant", "content": "Hello", "tool_calls": [call]],
            ["role": "tool", "content": [["type": "text", "text": "1"]]],
        ]
        let tool: JSON = ["type": "function", "function": ["name": "f", "parameters": ["a": [1, 2.5, nil]]]]
        return JSONObject([
            ("messages", messages), ("add_generation_prompt", true), ("bos_token", "<s>"), ("eos_token", "</s>"),
            ("tools", [tool]), ("enable_thinking", false), ("s", "text"), ("n", 3), ("x", 2.5), ("list", [3, 1, 2]),
            ("words", ["b", "a"]), ("d", ["a": 1, "b": [nil]]), ("html", "<b>&</b>"), ("lines", "a\n b\n"),
        ])
    }()
}
