import Export
import Glibc
import Graph
import Host
import Model
import Testing
import Training

/// Adapters worked into the weights, against peft's logits; see Tests/Oracles/training.py and tuner_runs.py.
@Suite(.serialized) struct MergeTests {
    let components: Registry
    let scratch = "/tmp/martlet-merge-\(getpid())"
    private static let goldens = #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Goldens/"

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
        system("rm -rf '\(scratch)'; mkdir '\(scratch)'")
    }

    private func model(_ path: String) throws -> Model {
        var options = Model.Options()
        options.activation = "f32"
        return try Model(path: path, options: options, components: components)
    }

    private func export(_ base: String, adapter: String?) throws -> ModelExport {
        let model = try model(base)
        let merge = try adapter.map {
            try AdapterMerge(
                Adapter(directory: Self.goldens + "training/\($0)", components: components), model: model,
                components: components)
        }
        return ModelExport(model, merge: merge, components: components)
    }

    private func wanted(_ file: String, _ tensor: String) throws -> [Float] {
        let checkpoint = try CheckpointHandle(path: Self.goldens + file, components: components)
        return try checkpoint.floats(try #require(checkpoint.tensors[tensor]))
    }

    private func error(_ path: String, _ base: String, _ wanted: [Float]) throws -> Float {
        let probe = try CheckpointHandle(path: "\(base)/expected.safetensors", components: components)
        let bytes = try probe.bytes(of: try #require(probe.tensors["ids.0"]))
        let ids = (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self) }
        let found = try Scorer(model(path)).logits(ids)
        try #require(found.count == wanted.count)
        return zip(found, wanted).map { abs($0 - $1) }.max() ?? .infinity
    }

    private static let llama = goldens + "families/llama"

    @Test(arguments: [
        "adapter-rslora", "adapter-saved-head", "adapter-layers", "adapter-regex", "adapter-patterns", "adapter-dora",
    ])
    func mergedWeightsGiveTheLogitsOfPEFTsAdapter(name: String) throws {
        try export(Self.llama, adapter: name).writeDirectory(scratch + "/merged")
        let logits = try wanted("training/\(name)/expected.safetensors", "logits")
        #expect(try error(scratch + "/merged", Self.llama, logits) < 2e-4)
    }

    @Test(arguments: ["lora-llama", "rslora-llama", "dora-llama"])
    func aGGUFFileOfMergedWeightsGivesThemToo(name: String) throws {
        try export(Self.llama, adapter: "\(name)/adapter_final").writeGGUF(scratch + "/model.gguf")
        let logits = try wanted("training/\(name)/expected.safetensors", "logits_final")
        #expect(try error(scratch + "/model.gguf", Self.llama, logits) < 2e-4)
        #expect(access(scratch + "/model.gguf.merged", F_OK) != 0)
    }

    /// What q8_0 lost stays lost; the directory has the same values in published names, rows in their published order.
    @Test func aQuantizedFileIsDecodedAsItAnswers() throws {
        var small = try export(Self.llama, adapter: nil)
        small.ggufLayout = "q8_0"
        try small.writeGGUF(scratch + "/small.gguf")
        var whole = try export(scratch + "/small.gguf", adapter: nil)
        whole.layout = "f32"
        try whole.writeDirectory(scratch + "/whole")
        let checkpoint = try CheckpointHandle(path: Self.llama, components: components)
        let decoded = try CheckpointHandle(path: scratch + "/whole", components: components)
        #expect(Set(decoded.tensors.keys) == Set(checkpoint.tensors.keys))
        for (name, entry) in checkpoint.tensors {
            let found = try #require(decoded.tensors[name])
            try #require(found.shape == entry.shape)
            let (own, other) = (try checkpoint.floats(entry), try decoded.floats(found))
            let largest = own.map(abs).max() ?? 0
            let off = zip(own, other).map { abs($0 - $1) }.max() ?? 1
            // Half a step of the coarsest block: its largest magnitude over 127, the scale itself rounded to f16.
            #expect(off <= largest / 127 * 0.51 + 1e-7, "\(name): \(off) of \(largest)")
        }
    }

    @Test func piecesOfAGGUFFileBecomeASentencePieceModelAgain() throws {
        let corpus = Self.goldens + "../Fuzz/Corpus/sentencepiece/bpe.model"
        let place = scratch + "/pieces"
        system(
            "mkdir -p '\(place)'; cp '\(Self.llama)/config.json' '\(Self.llama)/model.safetensors' '\(place)'; cp '\(corpus)' '\(place)/tokenizer.model'"
        )
        try export(place, adapter: nil).writeGGUF(place + "/model.gguf")
        var whole = try export(place + "/model.gguf", adapter: nil)
        whole.layout = "f32"
        try whole.writeDirectory(place + "/again")
        #expect(access(place + "/again/tokenizer.model", R_OK) == 0)
        let own = try ModelFiles(path: place, components: components).openTokenizer(components: components)
        let again = try ModelFiles(path: place + "/again", components: components).openTokenizer(components: components)
        #expect(own.vocabularySize <= again.vocabularySize && own.bos == again.bos && own.eos == again.eos)
        for text in ["The bird flies.", " two  spaces", "naïve — 你好 🙂", "", "a\nb"] {
            #expect(try again.encode(text, options: []) == own.encode(text, options: []), "\(text)")
            #expect(try again.encode(text, options: .addSpecial) == own.encode(text, options: .addSpecial), "\(text)")
            let ids = try own.encode(text, options: [])
            #expect(try again.decode(ids, skipSpecial: true) == own.decode(ids, skipSpecial: true), "\(text)")
        }
    }

    @Test func piecesOfAUnigramModelBecomeATokenizerFileAgain() throws {
        let place = scratch + "/unigram"
        system(
            "mkdir -p '\(place)'; cp '\(Self.llama)/config.json' '\(Self.llama)/model.safetensors' '\(place)'; cp '\(Self.goldens)tokenizers/parts/unigram-map.json' '\(place)/tokenizer.json'"
        )
        try export(place, adapter: nil).writeGGUF(place + "/model.gguf")
        var whole = try export(place + "/model.gguf", adapter: nil)
        whole.layout = "f32"
        try whole.writeDirectory(place + "/again")
        let own = try ModelFiles(path: place, components: components).openTokenizer(components: components)
        let again = try ModelFiles(path: place + "/again", components: components).openTokenizer(components: components)
        for text in ["The bird flies.", " two  spaces ", "naïve — 你好 🙂 ＡＢ", "", "a\nb", "x</s>y"] {
            #expect(
                try again.encode(text, options: [.addSpecial, .parseSpecial])
                    == own.encode(text, options: [.addSpecial, .parseSpecial]), "\(text)")
            let ids = try own.encode(text, options: [])
            #expect(try again.decode(ids, skipSpecial: true) == own.decode(ids, skipSpecial: true), "\(text)")
        }
        // And a model file of SentencePiece itself.
        system("mkdir '\(place)/model'; cp '\(place)/config.json' '\(place)/model.safetensors' '\(place)/model'")
        system("cp '\(Self.goldens)../Fuzz/Corpus/sentencepiece/map.model' '\(place)/model/tokenizer.model'")
        try export(place + "/model", adapter: nil).writeGGUF(place + "/model.gguf")
        let pieces = try ModelFiles(path: place + "/model", components: components).openTokenizer(
            components: components)
        let inside = try ModelFiles(path: place + "/model.gguf", components: components).openTokenizer(
            components: components)
        for text in ["The bird flies.", " two  spaces ", "naïve — 你好 🙂", ""] {
            #expect(try inside.encode(text, options: []) == pieces.encode(text, options: []), "\(text)")
        }
    }

    @Test func tensorsWithoutAPlaceAreRefused() throws {
        #expect(throws: ExportError.self) { try export(Self.llama, adapter: "adapter-embedding") }
    }

    @Test func whatIsThereIsNotWrittenOver() throws {
        let whole = try export(Self.llama, adapter: nil)
        try whole.writeDirectory(scratch + "/twice")
        #expect(throws: (any Error).self) { try whole.writeDirectory(scratch + "/twice") }
    }
}
