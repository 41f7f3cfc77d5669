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
        #expect(found.count >= 7)
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
}
