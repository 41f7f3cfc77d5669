import CheckpointsGGUF
import Foundation
import JSON
import Testing

/// Published files, where MARTLET_ASSETS names a folder that has them.
@Suite struct GGUFPublishedModelTests {
    static func asset(_ name: String) -> String? {
        let path = (ProcessInfo.processInfo.environment["MARTLET_ASSETS"] ?? "") + "/" + name
        if FileManager.default.fileExists(atPath: path) { return path }
        print("skipped: no \(name) in MARTLET_ASSETS")
        return nil
    }

    /// Counts and settings as the reference package lists them.
    @Test(arguments: [
        (
            "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", ["q4_1": 210, "f32": 61, "q8_0": 1], 134_515_008,
            [
                "model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30, "intermediate_size": 1536,
                "num_attention_heads": 9, "num_key_value_heads": 3, "rope_theta": 100000.0, "vocab_size": 49152,
                "rms_norm_eps": 1e-5, "max_position_embeddings": 8192, "tie_word_embeddings": true,
            ] as JSON
        ),
        (
            "qwen2.5-coder-0.5b/Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf",
            ["q5_0": 133, "f32": 121, "q8_0": 13, "q6_k": 12, "q4_k": 12], 630_167_424,
            [
                "model_type": "qwen2", "hidden_size": 896, "num_hidden_layers": 24, "intermediate_size": 4864,
                "num_attention_heads": 14, "num_key_value_heads": 2, "rope_theta": 1000000.0, "vocab_size": 151936,
                "rms_norm_eps": 1e-6, "tie_word_embeddings": false,
            ] as JSON
        ),
        (
            "gemma3-270m/gemma-3-270m-q4_k_m.gguf",
            ["f32": 109, "q5_0": 81, "q4_k": 27, "q8_0": 10, "q6_k": 9], 268_098_176,
            [
                "model_type": "gemma3_text", "hidden_size": 640, "num_hidden_layers": 18, "intermediate_size": 2048,
                "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256, "sliding_window": 512,
                "query_pre_attn_scalar": 256, "vocab_size": 262144, "tie_word_embeddings": true,
                "rope_theta": 1000000.0,
            ] as JSON
        ),
    ])
    func arrivesWhole(file: String, layouts: [String: Int], parameters: Int, config: JSON) throws {
        guard let path = Self.asset(file) else { return }
        let checkpoint = try GGUF(path: path)
        #expect(Dictionary(grouping: checkpoint.tensors, by: \.layout).mapValues(\.count) == layouts)
        #expect(checkpoint.tensors.reduce(0) { $0 + $1.shape.reduce(1, *) } == parameters)
        #expect(checkpoint.tensors.allSatisfy { !$0.name.hasPrefix("blk.") })
        let found = checkpoint.describe()
        for (key, value) in try #require(config.object) {
            #expect(found["config"]?[key] == value, "\(key): \(String(describing: found["config"]?[key]))")
        }
        #expect((found["tokenizer"]?["tokenizer.ggml.tokens"]?.array?.count ?? 0) > 49000)
    }
}
