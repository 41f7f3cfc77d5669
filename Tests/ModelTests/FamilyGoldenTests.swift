import Graph
import Host
import Model
import Testing

/// Every family against transformers, on small random models; see Tests/Oracles/README.md.
@Suite(.serialized) struct FamilyGoldenTests {
    let components: Registry

    init() throws {
        Services.shared.register("martlet.graph/1", at: GraphService.table)
        components = Registry(try .standard())
    }

    static let variants = [
        "baichuan", "baichuan-13b", "baichuan2", "chatglm", "chatglm4", "cohere", "cohere-qk-norm", "cohere2",
        "deepseek_v2",
        "deepseek_v2-lite", "deepseek_v3", "deepseek_v3-plain", "falcon", "gemma", "gemma2", "gemma3_text",
        "gemma3_text-linear", "glm", "glm4", "glm4_moe", "gpt2", "gpt_neox", "gpt_neox-serial", "internlm2", "llama",
        "llama-bias", "llama-mha",
        "llama-rope-dynamic", "llama-rope-linear", "llama-rope-llama3", "llama-rope-yarn", "llama-tied",
        "llama-v5config", "minicpm", "mistral", "mistral-head-dim", "mistral-window", "mixtral", "olmo", "olmo-clip",
        "olmo2", "olmoe", "phi3", "phi3-longrope-long", "phi3-longrope-short", "phi3-partial-rotary",
        "phi3-window-gqa", "qwen", "qwen2", "qwen2-tied", "qwen2-window", "qwen2-yarn", "qwen2_moe", "qwen3",
        "qwen3-untied", "qwen3_moe", "qwen3_moe-mixed", "starcoder2",
    ]

    @Test(arguments: variants) func logitsEqualTransformers(variant: String) throws {
        let model = try Model(path: FamilyGolden.root + variant, components: components)
        let golden = try FamilyGolden(variant, components)
        for sequence in 0..<2 {
            let ids: [Int32] = try golden.elements("ids.\(sequence)")
            let wanted: [Float] = try golden.elements("logits.\(sequence)")
            let found = try Scorer(model).logits(ids)
            try #require(found.count == wanted.count)
            let error = FamilyGolden.relativeError(found, wanted)
            #expect(error <= 1e-4, "relative error \(error) in sequence \(sequence)")
            let width = model.shape.vocabulary
            let differing = ids.indices.filter { best(found, $0, width) != best(wanted, $0, width) }
            #expect(differing.isEmpty, "another token is likeliest at positions \(differing) of sequence \(sequence)")
        }
    }

    private func best(_ logits: [Float], _ row: Int, _ width: Int) -> Int? {
        (row * width..<(row + 1) * width).max { logits[$0] < logits[$1] }
    }
}
