import Files
import JSON

extension GGUFMetadata {
    /// What an architecture's keys say in terms other than its config.json's (conversion/*.py of llama.cpp).
    static func own(_ id: String, _ config: JSON, _ path: String) throws(FileError) -> [(key: String, value: JSON)] {
        var entries: [(key: String, value: JSON)] = []
        func put(_ key: String, _ value: JSON?) {
            if let value, !value.isNull { entries.append(("\(id).\(key)", value)) }
        }
        func number(_ key: String) throws(FileError) -> Double {
            guard let value = config[key]?.double, value > 0 else {
                throw FileError(
                    path, "config \(FileError.quote(key))", found: config[key]?.text() ?? "nothing",
                    wanted: "a number above 0")
            }
            return value
        }
        switch id {
        case "minicpm":
            put("embedding_scale", .double(try number("scale_emb")))
            put(
                "residual_scale",
                .double(try number("scale_depth") / (try number("num_hidden_layers")).squareRoot()))
            // The logits are divided by it.
            put("logit_scale", .double(try number("hidden_size") / (try number("dim_model_base"))))
        case "gpt2":
            if config["n_inner"]?.int == nil { put("feed_forward_length", .int(Int64(4 * (try number("n_embd"))))) }
        case "chatglm":
            let width = try number("hidden_size") / (try number("num_attention_heads"))
            put("rope.dimension_count", .int(Int64(width / 2)))
            put("rope.freq_base", .double(10000 * (config["rope_ratio"]?.double ?? 1)))
            if config["multi_query_attention"]?.bool != true {
                put("attention.head_count_kv", config["num_attention_heads"])
            }
            put("vocab_size", config["padded_vocab_size"])
        case "deepseek2":
            let rope = try number("qk_rope_head_dim")
            put("attention.key_length", .int(Int64(rope + (try number("qk_nope_head_dim")))))
            put("attention.value_length", config["v_head_dim"])
            put("rope.dimension_count", config["qk_rope_head_dim"])
            put("expert_gating_func", config["scoring_func"]?.string == "sigmoid" ? 2 : 1)
            if let share = (config["rope_scaling"] ?? config["rope_parameters"])?["mscale_all_dim"]?.double {
                put("rope.scaling.yarn_log_multiplier", .double(0.1 * share))
            }
        case "bert":
            put("attention.causal", false)
            let first = GGUFArchitecture.firstPosition(config)
            if first > 0, let count = config["max_position_embeddings"]?.int {
                put("context_length", .int(Int64(max(0, count - first))))
            }
            entries.append(("tokenizer.ggml.token_type_count", config["type_vocab_size"] ?? 2))
            let classifies = config["architectures"]?[0]?.string?.hasSuffix("ForSequenceClassification") ?? false
            if classifies { put("pooling_type", 4) }
            if classifies, let names = config["id2label"]?.object {
                put("classifier.output_labels", .array((0..<names.count).map { names["\($0)"] ?? "" }))
            }
        default: break
        }
        return entries
    }

    /// How sentence-transformers pools, where a checkpoint comes with its files.
    mutating func addPooling(_ directory: String) {
        guard entries.contains(where: { $0.key == "bert.attention.causal" }),
            !entries.contains(where: { $0.key == "bert.pooling_type" }),
            let file = try? MappedFile(System.join(directory, "1_Pooling/config.json")),
            let config = try? JSON(parsing: file.contents)
        else { return }
        let named = config["pooling_mode"]?.string
        for (number, mode, flag) in [
            (1, "mean", "mean_tokens"), (2, "cls", "cls_token"), (3, "lasttoken", "lasttoken"),
        ] {
            if named == mode || config["pooling_mode_\(flag)"]?.bool == true {
                return add("bert.pooling_type", .int(Int64(number)))
            }
        }
    }
}
