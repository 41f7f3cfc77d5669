import JSON

/// config.json as the transformers library would have it, from GGUF's metadata.
struct GGUFConfig {
    let file: GGUFFile
    let architecture: GGUFArchitecture
    /// GGUF's own name for the architecture: the prefix of its keys.
    private let prefix: String
    private var config = JSONObject()
    private let tensors: [GGUFFile.Tensor]
    private let tensorNames: Set<String>

    /// - Parameters:
    ///   - file: The file with the metadata.
    ///   - tensors: Those of all parts of a split file.
    init(_ file: GGUFFile, _ architecture: GGUFArchitecture, prefix: String, tensors: [GGUFFile.Tensor]) {
        self.file = file
        self.architecture = architecture
        self.prefix = prefix
        self.tensors = tensors
        tensorNames = Set(tensors.map(\.name))
    }

    /// Usual members by GGUF key (without the architecture's prefix).
    static let members: [(key: String, member: String)] = [
        ("context_length", "max_position_embeddings"), ("embedding_length", "hidden_size"),
        ("block_count", "num_hidden_layers"), ("feed_forward_length", "intermediate_size"),
        ("attention.head_count", "num_attention_heads"), ("attention.head_count_kv", "num_key_value_heads"),
        ("attention.key_length", "head_dim"), ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
        ("attention.layer_norm_epsilon", "layer_norm_eps"), ("rope.freq_base", "rope_theta"),
        ("rope.freq_base_swa", "rope_local_base_freq"), ("attention.sliding_window", "sliding_window"),
        ("attn_logit_softcapping", "attn_logit_softcapping"), ("final_logit_softcapping", "final_logit_softcapping"),
        ("logit_scale", "logit_scale"), ("expert_count", "num_experts"), ("expert_used_count", "num_experts_per_tok"),
        ("expert_feed_forward_length", "moe_intermediate_size"), ("expert_shared_count", "n_shared_experts"),
        ("leading_dense_block_count", "first_k_dense_replace"), ("expert_weights_scale", "routed_scaling_factor"),
        ("expert_weights_norm", "norm_topk_prob"), ("expert_group_count", "n_group"),
        ("expert_group_used_count", "topk_group"), ("attention.q_lora_rank", "q_lora_rank"),
        ("attention.kv_lora_rank", "kv_lora_rank"), ("embedding_scale", "embedding_scale"),
        ("residual_scale", "residual_scale"), ("attention.scale", "attention_scale"),
        ("attention.clamp_kqv", "clip_qkv"),
    ]

    mutating func document() -> JSON {
        config["architectures"] = [.string(architecture.className)]
        config["model_type"] = .string(architecture.modelType)
        for (key, value) in architecture.constants.object ?? JSONObject() { config[key] = value }
        for (key, member) in Self.members {
            guard let value = value(key), !isList(value) || member == "intermediate_size" else { continue }
            config[architecture.configKeys[key] ?? member] = Self.rounded(value)
        }
        for (key, member) in architecture.configKeys {
            if let value = value(key), !isList(value) { config[member] = Self.rounded(value) }
        }
        addHeads()
        addVocabulary()
        addRope()
        switch architecture.id {
        case "gemma", "gemma2", "gemma3": addGemma()
        case "deepseek2": addDeepSeek()
        case "minicpm": addMiniCPM()
        case "chatglm":
            config["rope_ratio"] = .double((value("rope.freq_base")?.double ?? 10000) / 10000)
            config["padded_vocab_size"] = config["vocab_size"]
        // Both halves of the MLP count, in the file as in config.json.
        case "qwen": config["intermediate_size"] = value("feed_forward_length")
        case "bert": config["type_vocab_size"] = .int(Int64(rows("token_types.weight") ?? 2))
        case "cohere2", "command-r": config["use_qk_norm"] = .bool(tensorNames.contains("blk.0.attn_q_norm.weight"))
        case "phi2": config["layer_norm_eps"] = config["layer_norm_eps"] ?? 1e-5
        default: break
        }
        return .object(config)
    }

    private func value(_ key: String) -> JSON? { file.value("\(prefix).\(key)") }

    private func isList(_ value: JSON) -> Bool { value.array != nil }

    /// A float of the file in the fewest digits that give it back: 1e-5 rather than 9.999999747378752e-06.
    private static func rounded(_ value: JSON) -> JSON {
        guard case .double(let number) = value, Double(Float(number)) == number,
            let short = Double("\(Float(number))")
        else { return value }
        return .double(short)
    }

    private func rows(_ tensor: String) -> Int? { tensors.first { $0.name == tensor }?.shape.first }

    private mutating func addHeads() {
        // Some files hold one number a layer; where they are all the same it is one number.
        for (key, member) in [
            ("attention.head_count", "num_attention_heads"), ("attention.head_count_kv", "num_key_value_heads"),
        ] {
            if let list = value(key)?.array, let first = list.first, list.allSatisfy({ $0 == first }) {
                config[architecture.configKeys[key] ?? member] = first
            }
        }
        if let list = value("feed_forward_length")?.array, let first = list.first, list.allSatisfy({ $0 == first }) {
            config[architecture.configKeys["feed_forward_length"] ?? "intermediate_size"] = first
        }
        if config["num_attention_heads"] != nil, config["num_key_value_heads"] == nil, architecture.id != "bert" {
            config["num_key_value_heads"] = config["num_attention_heads"]
        }
        for (tensor, members) in [
            ("blk.0.attn_q.bias", ["attention_bias", "use_qkv_bias"]), ("blk.0.ffn_up.bias", ["mlp_bias"]),
        ] where architecture.id != "bert" && architecture.id != "gpt2" {
            for member in members where config[member] == nil { config[member] = .bool(tensorNames.contains(tensor)) }
        }
    }

    private mutating func addVocabulary() {
        config["vocab_size"] =
            (rows("token_embd.weight") ?? value("vocab_size")?.int).map { .int(Int64($0)) }
            ?? file.values["tokenizer.ggml.tokens"].map { .int(Int64($0.count)) }
        config["tie_word_embeddings"] = .bool(!tensorNames.contains("output.weight"))
        for (key, member) in [("bos", "bos_token_id"), ("eos", "eos_token_id"), ("padding", "pad_token_id")] {
            if let id = file.value("tokenizer.ggml.\(key)_token_id") { config[member] = id }
        }
    }

    private mutating func addRope() {
        if let width = value("rope.dimension_count")?.int, architecture.id != "deepseek2", let head = headWidth,
            width > 0, width < head
        {
            config["partial_rotary_factor"] = .double(Double(width) / Double(head))
        }
        if let factors = GGUFRope.long(file), let short = GGUFRope.short(file) {
            config["rope_scaling"] = [
                "rope_type": "longrope", "type": "longrope", "long_factor": factors, "short_factor": short,
            ]
            config["original_max_position_embeddings"] = value("rope.scaling.original_context_length")
            return
        }
        if let scaling = GGUFRope.llama3(file, theta: value("rope.freq_base")?.double ?? 10000) {
            config["rope_scaling"] = scaling
            return
        }
        guard let type = value("rope.scaling.type")?.string, type != "none" else { return }
        var scaling = JSONObject([("rope_type", .string(type)), ("type", .string(type))])
        scaling["factor"] = value("rope.scaling.factor")
        scaling["original_max_position_embeddings"] = value("rope.scaling.original_context_length")
        scaling["attention_factor"] = value("rope.scaling.attn_factor").map(Self.rounded)
        if let multiplier = value("rope.scaling.yarn_log_multiplier")?.double {
            // The file holds 0.1 · mscale_all_dim.
            scaling["mscale"] = Self.rounded(.double(Double(Float(multiplier * 10))))
            scaling["mscale_all_dim"] = scaling["mscale"]
        }
        config["rope_scaling"] = .object(scaling)
    }

    private var headWidth: Int? {
        if let width = value("attention.key_length")?.int { return width }
        guard let width = value("embedding_length")?.int, let heads = config["num_attention_heads"]?.int, heads > 0
        else { return nil }
        return width / heads
    }

    private mutating func addGemma() {
        config["head_dim"] = config["head_dim"] ?? headWidth.map { .int(Int64($0)) }
        // The 27B models divide by the root of width / heads instead of the head's width; GGUF does not say so, and
        // llama.cpp too goes by the number of layers.
        let layers = value("block_count")?.int ?? 0
        let isLargest = architecture.id == "gemma2" && layers == 46 || architecture.id == "gemma3" && layers == 62
        if isLargest, let width = value("embedding_length")?.int, let heads = config["num_attention_heads"]?.int,
            heads > 0
        {
            config["query_pre_attn_scalar"] = .int(Int64(width / heads))
        } else {
            config["query_pre_attn_scalar"] = config["head_dim"]
        }
    }

    private mutating func addDeepSeek() {
        let key = value("attention.key_length_mla")?.int ?? value("attention.key_length")?.int ?? 0
        let rope = value("rope.dimension_count")?.int ?? 0
        config["head_dim"] = nil
        config["qk_rope_head_dim"] = .int(Int64(rope))
        config["qk_nope_head_dim"] = .int(Int64(key &- rope))
        config["v_head_dim"] = value("attention.value_length_mla") ?? value("attention.value_length")
        config["q_lora_rank"] = config["q_lora_rank"] ?? .null
        config["num_key_value_heads"] = config["num_attention_heads"]
        let isSigmoid = value("expert_gating_func")?.int == 2
        config["scoring_func"] = isSigmoid ? "sigmoid" : "softmax"
        if isSigmoid || tensorNames.contains(where: { $0.hasSuffix("exp_probs_b.bias") }) {
            config["model_type"] = "deepseek_v3"
            config["architectures"] = ["DeepseekV3ForCausalLM"]
            config["topk_method"] = "noaux_tc"
        } else {
            config["topk_method"] = config["n_group"]?.int ?? 1 > 1 ? "group_limited_greedy" : "greedy"
        }
    }

    private mutating func addMiniCPM() {
        let layers = Double(value("block_count")?.int ?? 0)
        if let scale = value("residual_scale")?.double {
            config["scale_depth"] = Self.rounded(.double(Double(Float(scale * layers.squareRoot()))))
        }
        // The logits are divided by it; llama.cpp's own value for files without it is below 1 and means the same.
        if let scale = value("logit_scale")?.double, scale > 0, let width = value("embedding_length")?.double {
            config["dim_model_base"] = .int(
                Int64((scale < 1 ? width * scale : width / scale).rounded().clamped(to: 0...1e9)))
        }
    }
}

extension Double {
    fileprivate func clamped(to range: ClosedRange<Double>) -> Double {
        isNaN ? range.lowerBound : min(max(self, range.lowerBound), range.upperBound)
    }
}
