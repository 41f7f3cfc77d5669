import JSON

extension GGUFArchitecture {
    /// The architectures whose names and settings are known. Which of them permute: the subclasses of LlamaModel in
    /// convert_hf_to_gguf.py, and those that call `permute` themselves.
    static let all: [GGUFArchitecture] = [
        GGUFArchitecture(
            id: "llama", modelType: "llama", className: "LlamaForCausalLM", names: GGUFNames.llama, permutes: true,
            constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            id: "mixtral", modelType: "mixtral", className: "MixtralForCausalLM",
            names: GGUFNames.frame + GGUFNames.norms + GGUFNames.attention + GGUFNames.mixtralExperts, permutes: true,
            configKeys: ["expert_count": "num_local_experts"], constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            id: "mistral3", modelType: "mistral", className: "MistralForCausalLM", names: GGUFNames.llama,
            permutes: true, constants: ["hidden_act": "silu"]),
        // InternLM2 and Baichuan (7B) with q, k and v apart are Llama to the letter; their own fused names cannot be
        // had without moving bytes.
        GGUFArchitecture(
            id: "internlm2", modelType: "llama", className: "LlamaForCausalLM", names: GGUFNames.llama, permutes: true,
            constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            id: "baichuan", modelType: "llama", className: "LlamaForCausalLM", names: GGUFNames.llama, permutes: true,
            constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            id: "minicpm", modelType: "minicpm", className: "MiniCPMForCausalLM", names: GGUFNames.llama,
            permutes: true, configKeys: ["embedding_scale": "scale_emb"], constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            id: "granite", modelType: "granite", className: "GraniteForCausalLM", names: GGUFNames.llama,
            permutes: true,
            configKeys: [
                "embedding_scale": "embedding_multiplier", "residual_scale": "residual_multiplier",
                "attention.scale": "attention_multiplier", "logit_scale": "logits_scaling",
            ], constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            id: "smollm3", modelType: "smollm3", className: "SmolLM3ForCausalLM", names: GGUFNames.llama,
            permutes: true, constants: ["hidden_act": "silu", "no_rope_layer_interval": 4]),
        GGUFArchitecture(
            id: "olmo", modelType: "olmo", className: "OlmoForCausalLM",
            names: GGUFNames.frame + GGUFNames.attention + GGUFNames.mlp, permutes: true,
            configKeys: ["attention.clamp_kqv": "clip_qkv"], constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            id: "olmo2", modelType: "olmo2", className: "Olmo2ForCausalLM", names: GGUFNames.olmo2,
            constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            id: "olmoe", modelType: "olmoe", className: "OlmoeForCausalLM",
            names: GGUFNames.frame + GGUFNames.norms + GGUFNames.attention + GGUFNames.headNorms + GGUFNames.experts,
            configKeys: ["attention.clamp_kqv": "clip_qkv"],
            constants: ["hidden_act": "silu", "norm_topk_prob": false]),
        GGUFArchitecture(
            id: "qwen", modelType: "qwen", className: "QWenLMHeadModel", names: GGUFNames.qwen,
            configKeys: [
                "rope.freq_base": "rotary_emb_base", "attention.layer_norm_rms_epsilon": "layer_norm_epsilon",
                "context_length": "seq_length", "rope.dimension_count": "kv_channels",
            ], constants: ["no_bias": true]),
        GGUFArchitecture(
            id: "qwen2", modelType: "qwen2", className: "Qwen2ForCausalLM", names: GGUFNames.llama,
            constants: ["hidden_act": "silu", "use_sliding_window": false]),
        GGUFArchitecture(
            id: "qwen2moe", modelType: "qwen2_moe", className: "Qwen2MoeForCausalLM",
            names: GGUFNames.llama + GGUFNames.experts + GGUFNames.sharedExpert,
            configKeys: ["expert_shared_feed_forward_length": "shared_expert_intermediate_size"],
            constants: [
                "hidden_act": "silu", "use_sliding_window": false, "norm_topk_prob": false, "decoder_sparse_step": 1,
                "mlp_only_layers": .array([]),
            ]),
        GGUFArchitecture(
            id: "qwen3", modelType: "qwen3", className: "Qwen3ForCausalLM",
            names: GGUFNames.llama + GGUFNames.headNorms,
            constants: ["hidden_act": "silu", "use_sliding_window": false, "attention_bias": false]),
        GGUFArchitecture(
            id: "qwen3moe", modelType: "qwen3_moe", className: "Qwen3MoeForCausalLM",
            names: GGUFNames.llama + GGUFNames.headNorms + GGUFNames.experts,
            constants: [
                "hidden_act": "silu", "use_sliding_window": false, "attention_bias": false, "norm_topk_prob": true,
                "decoder_sparse_step": 1, "mlp_only_layers": .array([]),
            ]),
        GGUFArchitecture(
            id: "gemma", modelType: "gemma", className: "GemmaForCausalLM", names: GGUFNames.llama, normAddend: 1,
            constants: ["hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh"]),
        GGUFArchitecture(
            id: "gemma2", modelType: "gemma2", className: "Gemma2ForCausalLM", names: GGUFNames.gemma2, normAddend: 1,
            constants: ["hidden_activation": "gelu_pytorch_tanh"]),
        GGUFArchitecture(
            id: "gemma3", modelType: "gemma3_text", className: "Gemma3ForCausalLM",
            names: GGUFNames.gemma2 + GGUFNames.headNorms, normAddend: 1,
            constants: [
                "hidden_activation": "gelu_pytorch_tanh", "sliding_window_pattern": 6, "rope_local_base_freq": 10000.0,
            ]),
        GGUFArchitecture(
            id: "phi2", modelType: "phi", className: "PhiForCausalLM", names: GGUFNames.phi2,
            constants: ["hidden_act": "gelu_new"]),
        GGUFArchitecture(
            id: "phi3", modelType: "phi3", className: "Phi3ForCausalLM", names: GGUFNames.phi3,
            constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            id: "glm4", modelType: "glm4", className: "Glm4ForCausalLM", names: GGUFNames.glm4,
            constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            id: "chatglm", modelType: "chatglm", className: "ChatGLMForConditionalGeneration",
            names: GGUFNames.chatglm,
            configKeys: [
                "block_count": "num_layers", "feed_forward_length": "ffn_hidden_size",
                "attention.head_count_kv": "multi_query_group_num", "context_length": "seq_length",
                "attention.layer_norm_rms_epsilon": "layernorm_epsilon", "attention.key_length": "kv_channels",
            ],
            constants: [
                "multi_query_attention": true, "rmsnorm": true, "add_bias_linear": false, "add_qkv_bias": true,
                "post_layer_norm": true, "original_rope": true, "apply_residual_connection_post_layernorm": false,
            ]),
        GGUFArchitecture(
            id: "gpt2", modelType: "gpt2", className: "GPT2LMHeadModel", names: GGUFNames.gpt2, isTransposed: true,
            prefix: "transformer.",
            configKeys: [
                "context_length": "n_positions", "embedding_length": "n_embd", "block_count": "n_layer",
                "feed_forward_length": "n_inner", "attention.head_count": "n_head",
                "attention.layer_norm_epsilon": "layer_norm_epsilon",
            ],
            constants: [
                "activation_function": "gelu_new", "scale_attn_weights": true, "scale_attn_by_inverse_layer_idx": false,
            ]),
        GGUFArchitecture(
            id: "starcoder2", modelType: "starcoder2", className: "Starcoder2ForCausalLM",
            names: GGUFNames.starcoder2, configKeys: ["attention.layer_norm_epsilon": "norm_epsilon"],
            constants: ["hidden_act": "gelu_pytorch_tanh", "use_bias": true, "norm_type": "layer_norm"]),
        GGUFArchitecture(
            id: "bert", modelType: "bert", className: "BertModel", names: GGUFNames.bert, prefix: "bert.",
            constants: ["hidden_act": "gelu", "position_embedding_type": "absolute"]),
        GGUFArchitecture(
            id: "command-r", modelType: "cohere", className: "CohereForCausalLM",
            names: GGUFNames.llama + GGUFNames.headNorms, constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            id: "cohere2", modelType: "cohere2", className: "Cohere2ForCausalLM", names: GGUFNames.llama,
            constants: ["hidden_act": "silu", "sliding_window_pattern": 4]),
        GGUFArchitecture(
            id: "ernie4_5", modelType: "ernie4_5", className: "Ernie4_5ForCausalLM", names: GGUFNames.llama,
            constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            id: "seed_oss", modelType: "seed_oss", className: "SeedOssForCausalLM",
            names: GGUFNames.frame + GGUFNames.attention + GGUFNames.mlp + [
                ("blk.#.attn_norm", "model.layers.#.input_layernorm"),
                ("blk.#.post_attention_norm", "model.layers.#.post_attention_layernorm"),
            ], constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            id: "stablelm", modelType: "stablelm", className: "StableLmForCausalLM", names: GGUFNames.llama,
            constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            id: "deepseek", modelType: "deepseek", className: "DeepseekForCausalLM",
            names: GGUFNames.llama + GGUFNames.experts + GGUFNames.sharedExperts, permutes: true,
            configKeys: ["expert_count": "n_routed_experts"], constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            id: "deepseek2", modelType: "deepseek_v2", className: "DeepseekV2ForCausalLM",
            names: GGUFNames.deepseek2, configKeys: ["expert_count": "n_routed_experts"],
            constants: ["hidden_act": "silu", "moe_layer_freq": 1]),
    ]
}
