import Data
import Export
import Glibc
import Graph
import Host
import JSON
import Model
import Testing
import Training

/// A sound model passes every check; each kind of damage fails its own.
@Suite(.serialized) struct VerificationTests {
    let components: Registry
    let scratch = "/tmp/martlet-verification-\(getpid())"
    private static let goldens = #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Goldens/"

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
        system("rm -rf '\(scratch)'; mkdir '\(scratch)'")
    }

    private func checks(_ path: String, adapter: String? = nil, quantizer: JSON? = nil) throws -> [Verification.Check] {
        var options = Model.Options()
        options.activation = "f32"
        if let quantizer {
            options.quantizer = try QuantizerHandle(id: "bnb", settings: quantizer, components: components)
        }
        let model = try Model(path: path, options: options, components: components)
        var found: [Verification.Check] = []
        try Verification(
            model, adapter: adapter.map { try Adapter(directory: $0, components: components) }, components: components
        ) { found.append($0) }.run(scratch: scratch + "/merged")
        #expect(access(scratch + "/merged", F_OK) != 0)
        return found
    }

    private static let llama = goldens + "families/llama"

    @Test(arguments: ["lora-llama", "dora-llama", "rslora-llama"]) func aSoundAdapterPasses(name: String) throws {
        let found = try checks(Self.llama, adapter: Self.goldens + "training/\(name)/adapter_final")
        for check in found { #expect(check.passed, "\(check.claim): \(check.figure), \(check.detail)") }
        #expect(found.count >= 8 && found.contains { $0.claim.contains("same bits") })
        let merged = try #require(found.last)
        #expect(merged.claim.contains("merged") && merged.limit == 1e-3)
    }

    @Test(arguments: ["nf4", "fp4"]) func aQuantizedModelPasses(type: String) throws {
        let found = try checks(Self.llama, quantizer: ["bnb_4bit_quant_type": .string(type)])
        for check in found { #expect(check.passed, "\(check.claim): \(check.figure), \(check.detail)") }
        let quantized = try #require(found.first { $0.claim.contains("quantizer") })
        // NF4 loses about 0.9 % of a normal distribution's square, FP4 more.
        #expect(quantized.figure > 0.004 && quantized.figure < 0.05)
    }

    @Test func aNumberThatIsNotFiniteIsFound() throws {
        let source = try ModelFiles(path: Self.llama, components: components)
        var export = CheckpointExport(source, format: "safetensors", components: components)
        let name = "model.layers.1.mlp.up_proj.weight"
        export.replaced = [name]
        export.values = { entry in
            var values = try source.checkpoint.floats(entry)
            values[7] = .nan
            return values
        }
        try export.write(to: scratch + "/damaged")
        try source.writeDescription(to: scratch + "/damaged")
        let found = try checks(scratch + "/damaged")
        let weights = try #require(found.first { $0.claim.contains("weight is a finite") })
        #expect(!weights.passed && weights.figure == 1 && weights.detail.contains(name))
    }

    @Test func aTensorThatIsMissingIsFound() throws {
        system(
            "cp '\(Self.llama)/model.safetensors' '\(scratch)/'; sed 's/\"num_hidden_layers\": 2/\"num_hidden_layers\": 3/' '\(Self.llama)/config.json' > '\(scratch)/config.json'"
        )
        let found = try checks(scratch)
        #expect(found.count == 1 && !found[0].passed && found[0].detail.contains("model.layers.2"))
    }

    /// The base model in the place of the merged one.
    @Test func aMergeThatLostTheAdapterIsFound() throws {
        var options = Model.Options()
        options.activation = "f32"
        let model = try Model(path: Self.llama, options: options, components: components)
        let adapter = try Adapter(
            directory: Self.goldens + "training/lora-llama/adapter_final", components: components)
        let verification = try Verification(model, adapter: adapter, components: components) { _ in }
        #expect(try !verification.merged(Self.llama, verification.adaptedLogps()).passed)
    }

    /// A template whose prompt for an answer is not what stands before an answer in training.
    @Test(arguments: [("", true), ("Now: ", false)]) func aTemplateThatPromptsOtherwiseIsFound(
        prompt: String, passes: Bool
    )
        throws
    {
        system("cp '\(Self.llama)/model.safetensors' '\(Self.llama)/config.json' '\(scratch)/'")
        var vocabulary: [(String, JSON)] = [("<s>", 0), ("</s>", 1)]
        for byte in UInt8(33)...126 {
            vocabulary.append((String(UnicodeScalar(byte)), .int(Int64(vocabulary.count))))
        }
        let tokenizer: JSON = [
            "version": "1.0", "added_tokens": [["id": 1, "content": "</s>", "special": true]], "normalizer": .null,
            "post_processor": .null, "decoder": ["type": "ByteLevel"],
            "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "use_regex": true],
            "model": ["type": "BPE", "vocab": .object(JSONObject(vocabulary)), "merges": []],
        ]
        try tokenizer.write(to: scratch + "/tokenizer.json")
        let template =
            "{% for m in messages %}{% if m.role == 'user' %}Q:{{ m.content }}{% else %}A:{{ m.content }}</s>{% endif %}{% endfor %}{% if add_generation_prompt %}\(prompt)A:{% endif %}"
        let config: JSON = [
            "eos_token": "</s>", "tokenizer_class": "PreTrainedTokenizerFast", "chat_template": .string(template),
        ]
        try config.write(to: scratch + "/tokenizer_config.json")
        let check = try #require(try checks(scratch).first { $0.claim.contains("prompt that answering gives") })
        #expect(check.passed == passes, "\(check.figure)")
    }

    /// The second run takes another rate of decay: what a forgotten state would do.
    @Test(arguments: [(0.95, 0), (0.9, 1)]) func aRunThatGoesOnOtherwiseIsFound(beta: Double, least: Int) throws {
        let model = try Model(path: Self.llama, components: components)
        var beta2 = 0.95
        let example = EncodedExample(
            sequences: [EncodedSequence(ids: [5, 7, 9, 11, 8, 6], weights: [0, 1, 1, 1, 1, 1])])
        let proof = try ResumeProof(
            [[Batch([example])], [Batch([example])]], in: scratch + "/resumed", components: components
        ) {
            defer { beta2 = beta }
            let tuner = try TunerHandle(id: "lora", settings: ["rank": 2, "dropout": 0.1], components: components)
            return try TrainingEngine(
                model: model, objective: ObjectiveHandle(id: "sft", settings: [:], components: components),
                optimizer: OptimizerHandle(
                    id: "adamw", settings: ["adam_beta2": .double(beta2)], components: components),
                options: .init(tuner: tuner) { $0.hasSuffix("_proj") })
        }
        #expect(proof.count > 1000 && (proof.differing > 0) == (least > 0), "\(proof.differing) of \(proof.count)")
    }
}
