import Glibc
import Graph
import Host
import Model
import Testing

/// Models written in another format and opened again.
@Suite(.serialized) struct CheckpointExportTests {
    let components: Registry

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
    }

    @Test(arguments: [
        "llama", "llama-bias", "llama-rope-llama3", "llama-rope-linear", "llama-tied", "mistral", "mixtral", "qwen2",
        "qwen2-yarn", "qwen3",
        "qwen3_moe", "gemma", "phi3", "olmo", "olmo2", "olmoe", "starcoder2", "cohere", "minicpm", "internlm2",
        "qwen", "chatglm", "chatglm4", "deepseek_v2", "deepseek_v2-lite", "deepseek_v3", "glm4",
        "gpt2",
    ])
    func aGGUFFileAnswersAsTransformersDid(variant: String) throws {
        let folder = getenv("MARTLET_KEEP_EXPORTS").map { String(cString: $0) } ?? "/tmp/martlet-export-\(getpid())"
        mkdir(folder, 0o755)
        let path = "\(folder)/\(variant).gguf"
        defer { if getenv("MARTLET_KEEP_EXPORTS") == nil { unlink(path) } }
        let source = try ModelFiles(path: FamilyGolden.root + variant, components: components)
        try CheckpointExport(source, format: "gguf", components: components).write(to: path)
        let model = try Model(path: path, components: components)
        let golden = try FamilyGolden(variant, components)
        let found = try Scorer(model).logits(golden.elements("ids.0"))
        #expect(FamilyGolden.relativeError(found, try golden.elements("logits.0")) <= 1e-4)
    }

    @Test(arguments: ["bert", "xlm_roberta"]) func anEncoderInAGGUFFileGivesTransformersStates(variant: String) throws {
        let path = "/tmp/martlet-export-\(getpid())-\(variant).gguf"
        defer { unlink(path) }
        let source = try ModelFiles(path: FamilyGolden.root + variant, components: components)
        try CheckpointExport(source, format: "gguf", components: components).write(to: path)
        let model = try Model(path: path, components: components)
        let golden = try FamilyGolden(variant, components)
        let found = try SequenceRunner(model).run([golden.elements("ids.0")]) { graph, inputs in
            try model.family.build("encoder", in: graph, inputs)
        }
        #expect(FamilyGolden.relativeError(found[0], try golden.elements("hidden.0")) <= 1e-4)
        #expect(FamilyGolden.relativeError(found[1], try golden.elements("pooled.0")) <= 1e-4)
    }

    /// Its scores are divided by another root than that of a head's width, and its windows come in another rhythm.
    @Test(arguments: ["gemma2", "gemma3_text"]) func whatAGGUFFileCannotSayIsRefused(variant: String) throws {
        let source = try ModelFiles(path: FamilyGolden.root + variant, components: components)
        let export = CheckpointExport(source, format: "gguf", components: components)
        #expect(throws: (any Error).self) { try export.write(to: "/tmp/martlet-export-\(getpid())-refused.gguf") }
    }

    /// Eight bits a weight move these small models' logits by some hundredths of the largest, in llama.cpp too; a matrix in
    /// the wrong place would move them by all of it.
    @Test(arguments: ["llama", "qwen3_moe", "phi3", "gpt2"]) func aQuantizedFileAnswersNearlyTheSame(variant: String)
        throws
    {
        let folder = getenv("MARTLET_KEEP_EXPORTS").map { String(cString: $0) } ?? "/tmp"
        let path = "\(folder)/martlet-q8-\(getpid())-\(variant).gguf"
        defer { if getenv("MARTLET_KEEP_EXPORTS") == nil { unlink(path) } }
        var export = CheckpointExport(
            try ModelFiles(path: FamilyGolden.root + variant, components: components), format: "gguf",
            components: components)
        export.layout = "q8_0"
        try export.write(to: path)
        var options = Model.Options()
        options.activation = "f32"
        let model = try Model(path: path, options: options, components: components)
        #expect(model.files.checkpoint.tensors.values.contains { $0.layout == "q8_0" })
        let golden = try FamilyGolden(variant, components)
        let error = FamilyGolden.relativeError(
            try Scorer(model).logits(golden.elements("ids.0")), try golden.elements("logits.0"))
        #expect(error <= 0.1 && error > 0, "\(error)")
    }

    @Test(arguments: [
        "bpe-qwen2", "bpe-llama3", "bpe-gpt2", "bpe-llama2", "wordpiece-uncased", "wordpiece-cased", "unigram-map",
    ])
    func aTokenizerIsTakenAlong(name: String) throws {
        let folder = "/tmp/martlet-tokenizer-\(getpid())-\(name)"
        mkdir(folder, 0o755)
        let llama = FamilyGolden.root + "llama/"
        symlink(llama + "model.safetensors", folder + "/model.safetensors")
        symlink(llama + "config.json", folder + "/config.json")
        symlink(FamilyGolden.root + "../tokenizers/parts/\(name).json", folder + "/tokenizer.json")
        let source = try ModelFiles(path: folder, components: components)
        try CheckpointExport(source, format: "gguf", components: components).write(to: folder + "/model.gguf")
        let own = try source.openTokenizer(components: components)
        let written = try ModelFiles(path: folder + "/model.gguf", components: components).openTokenizer(
            components: components)
        // A tokenizer file by itself, and one inside a weight file, need no model around them.
        let alone = try TextFiles(path: folder + "/tokenizer.json", components: components).openTokenizer()
        let inside = try TextFiles(path: folder + "/model.gguf", components: components).openTokenizer()
        #expect(
            try alone.encode("Hello, 你好 12", options: .addSpecial) == own.encode("Hello, 你好 12", options: .addSpecial))
        #expect(
            try inside.encode("Hello, 你好 12", options: .addSpecial) == own.encode("Hello, 你好 12", options: .addSpecial))
        // GGUF has no name for this one's cut into words with letters composed before it.
        let composed = name == "bpe-qwen2" ? [] : ["e\u{301} A\u{30A}"]
        for text in composed + [
            "Hello, world!", "  two spaces, 12345 digits\n\nand lines", "naïve café — 你好世界 🙂", "it's we'll I'VE",
            "</s> <s>", "", "ﬁne ① ½ ＡＢ end  ", "Die Vögel </s>fliegen",
        ] {
            #expect(
                try written.encode(text, options: .parseSpecial) == own.encode(text, options: .parseSpecial), "\(text)")
            #expect(try written.encode(text, options: .addSpecial) == own.encode(text, options: .addSpecial), "\(text)")
        }
    }

    /// A character that the vocabulary lacks would be bytes, of which llama.cpp's unigram model knows nothing; it maps characters
    /// by a table alone; and BERT's ideographs always stand apart there.
    @Test(arguments: ["unigram-bytes", "unigram", "wordpiece-plain"]) func aTokenizerThatGGUFCannotSayIsRefused(
        name: String
    ) throws {
        let folder = "/tmp/martlet-tokenizer-\(getpid())-\(name)"
        mkdir(folder, 0o755)
        let llama = FamilyGolden.root + "llama/"
        symlink(llama + "model.safetensors", folder + "/model.safetensors")
        symlink(llama + "config.json", folder + "/config.json")
        symlink(FamilyGolden.root + "../tokenizers/parts/\(name).json", folder + "/tokenizer.json")
        let export = CheckpointExport(
            try ModelFiles(path: folder, components: components), format: "gguf", components: components)
        #expect(throws: (any Error).self) { try export.write(to: folder + "/model.gguf") }
    }

    /// Published files of GPT-2 have [in, out], GGUF's [out, in].
    @Test func aGGUFFileOfGPT2IsWrittenAsItWasPublished() throws {
        let source = try ModelFiles(path: FamilyGolden.root + "gpt2", components: components)
        let path = "/tmp/martlet-export-\(getpid())-gpt2"
        try CheckpointExport(source, format: "gguf", components: components).write(to: path + ".gguf")
        let model = try Model(path: path + ".gguf", components: components)
        #expect(model.files.checkpoint.tensors["transformer.h.0.attn.c_attn.weight"]?.shape == [96, 32])
        #expect(try CheckpointAudit(model).problems.isEmpty)
        try WeightExport(model).write(to: path, components: components)
        let written = try CheckpointHandle(path: path, components: components)
        for (name, entry) in source.checkpoint.tensors where name != "lm_head.weight" {
            let own = try #require(written.tensors[name], "\(name)")
            #expect(own.shape == entry.shape, "\(name)")
            #expect(try written.floats(own) == source.checkpoint.floats(entry), "\(name)")
        }
        // From one GGUF file to another.
        let again = CheckpointExport(model.files, format: "gguf", components: components)
        try again.write(to: path + "-again.gguf")
        let copy = try CheckpointHandle(path: path + "-again.gguf", components: components)
        for (name, entry) in model.files.checkpoint.tensors {
            #expect(try copy.floats(#require(copy.tensors[name])) == model.files.checkpoint.floats(entry), "\(name)")
        }
    }

    @Test func replacedTensorsTakeThePlaceOfTheirs() throws {
        let path = "/tmp/martlet-export-\(getpid())-merged"
        let source = try ModelFiles(path: FamilyGolden.root + "llama", components: components)
        var export = CheckpointExport(source, format: "safetensors", components: components)
        export.replaced = ["model.norm.weight"]
        export.values = { entry in (0..<entry.shape[0]).map(Float.init) }
        try export.write(to: path)
        let written = try CheckpointHandle(path: path, components: components)
        #expect(Set(written.tensors.keys) == Set(source.checkpoint.tensors.keys))
        let norm = try #require(written.tensors["model.norm.weight"])
        #expect(try written.floats(norm) == (0..<norm.shape[0]).map(Float.init))
        let head = try #require(written.tensors["lm_head.weight"]),
            own = try #require(source.checkpoint.tensors["lm_head.weight"])
        #expect(try written.floats(head) == source.checkpoint.floats(own))
    }

    @Test func aCheckpointThatDoesNotFitIsToldTensorByTensor() throws {
        // Qwen 3 wants norms of queries and keys that Llama's checkpoint has not.
        let folder = "/tmp/martlet-audit-\(getpid())"
        mkdir(folder, 0o755)
        let llama = FamilyGolden.root + "llama/", qwen = FamilyGolden.root + "qwen3-untied/"
        symlink(llama + "model.safetensors", folder + "/model.safetensors")
        symlink(qwen + "config.json", folder + "/config.json")
        let audit = try CheckpointAudit(Model(path: folder, components: components))
        #expect(
            audit.problems.contains { $0.contains("model.layers.0.self_attn.q_norm.weight") && $0.contains("nearest") })
        #expect(throws: ModelError.self) { try audit.check(folder) }
        let whole = try CheckpointAudit(Model(path: llama, components: components))
        #expect(whole.problems.isEmpty && whole.unused.isEmpty)
        #expect(whole.totalWeightBytes >= 4 * whole.parameterCount && whole.parameterCount > 10_000)
    }
}
