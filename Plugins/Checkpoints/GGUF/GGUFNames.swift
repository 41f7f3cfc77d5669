// Tables of tensor names. Left: GGUF (gguf-py/gguf/constants.py, TENSOR_NAMES). Right: the published checkpoint, as the
// classes of the transformers library spell it.
enum GGUFNames {
    typealias Rows = [(gguf: String, published: String)]

    static let frame: Rows = [
        ("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head"),
    ]
    static let attention: Rows = [
        ("blk.#.attn_q", "model.layers.#.self_attn.q_proj"), ("blk.#.attn_k", "model.layers.#.self_attn.k_proj"),
        ("blk.#.attn_v", "model.layers.#.self_attn.v_proj"), ("blk.#.attn_output", "model.layers.#.self_attn.o_proj"),
    ]
    static let headNorms: Rows = [
        ("blk.#.attn_q_norm", "model.layers.#.self_attn.q_norm"),
        ("blk.#.attn_k_norm", "model.layers.#.self_attn.k_norm"),
    ]
    static let norms: Rows = [
        ("blk.#.attn_norm", "model.layers.#.input_layernorm"),
        ("blk.#.ffn_norm", "model.layers.#.post_attention_layernorm"),
    ]
    static let mlp: Rows = [
        ("blk.#.ffn_gate", "model.layers.#.mlp.gate_proj"), ("blk.#.ffn_up", "model.layers.#.mlp.up_proj"),
        ("blk.#.ffn_down", "model.layers.#.mlp.down_proj"),
    ]
    static let experts: Rows = [
        ("blk.#.ffn_gate_inp", "model.layers.#.mlp.gate"),
        ("blk.#.ffn_gate_exps", "model.layers.#.mlp.experts.@.gate_proj"),
        ("blk.#.ffn_up_exps", "model.layers.#.mlp.experts.@.up_proj"),
        ("blk.#.ffn_down_exps", "model.layers.#.mlp.experts.@.down_proj"),
    ]
    static let sharedExpert: Rows = [
        ("blk.#.ffn_gate_inp_shexp", "model.layers.#.mlp.shared_expert_gate"),
        ("blk.#.ffn_gate_shexp", "model.layers.#.mlp.shared_expert.gate_proj"),
        ("blk.#.ffn_up_shexp", "model.layers.#.mlp.shared_expert.up_proj"),
        ("blk.#.ffn_down_shexp", "model.layers.#.mlp.shared_expert.down_proj"),
    ]
    static let sharedExperts: Rows = [
        ("blk.#.ffn_gate_shexp", "model.layers.#.mlp.shared_experts.gate_proj"),
        ("blk.#.ffn_up_shexp", "model.layers.#.mlp.shared_experts.up_proj"),
        ("blk.#.ffn_down_shexp", "model.layers.#.mlp.shared_experts.down_proj"),
        ("blk.#.exp_probs_b.bias", "model.layers.#.mlp.gate.e_score_correction_bias"),
    ]
    static let mixtralExperts: Rows = [
        ("blk.#.ffn_gate_inp", "model.layers.#.block_sparse_moe.gate"),
        ("blk.#.ffn_gate_exps", "model.layers.#.block_sparse_moe.experts.@.w1"),
        ("blk.#.ffn_down_exps", "model.layers.#.block_sparse_moe.experts.@.w2"),
        ("blk.#.ffn_up_exps", "model.layers.#.block_sparse_moe.experts.@.w3"),
    ]
    static let llama: Rows = frame + norms + attention + mlp
    static let gemma2: Rows =
        frame + attention + mlp + [
            ("blk.#.attn_norm", "model.layers.#.input_layernorm"),
            ("blk.#.post_attention_norm", "model.layers.#.post_attention_layernorm"),
            ("blk.#.ffn_norm", "model.layers.#.pre_feedforward_layernorm"),
            ("blk.#.post_ffw_norm", "model.layers.#.post_feedforward_layernorm"),
        ]
    /// Norms after attention and MLP alone.
    static let olmo2: Rows =
        frame + attention + headNorms + mlp + [
            ("blk.#.post_attention_norm", "model.layers.#.post_attention_layernorm"),
            ("blk.#.post_ffw_norm", "model.layers.#.post_feedforward_layernorm"),
        ]
    static let phi3: Rows =
        frame + norms + [
            ("blk.#.attn_qkv", "model.layers.#.self_attn.qkv_proj"),
            ("blk.#.attn_output", "model.layers.#.self_attn.o_proj"),
            ("blk.#.ffn_up", "model.layers.#.mlp.gate_up_proj"), ("blk.#.ffn_down", "model.layers.#.mlp.down_proj"),
        ]
    static let phi2: Rows = [
        ("token_embd", "model.embed_tokens"), ("output_norm", "model.final_layernorm"), ("output", "lm_head"),
        ("blk.#.attn_norm", "model.layers.#.input_layernorm"), ("blk.#.attn_q", "model.layers.#.self_attn.q_proj"),
        ("blk.#.attn_k", "model.layers.#.self_attn.k_proj"), ("blk.#.attn_v", "model.layers.#.self_attn.v_proj"),
        ("blk.#.attn_output", "model.layers.#.self_attn.dense"), ("blk.#.ffn_up", "model.layers.#.mlp.fc1"),
        ("blk.#.ffn_down", "model.layers.#.mlp.fc2"),
    ]
    static let glm4: Rows =
        frame + attention + [
            ("blk.#.attn_norm", "model.layers.#.input_layernorm"),
            ("blk.#.post_attention_norm", "model.layers.#.post_self_attn_layernorm"),
            ("blk.#.ffn_norm", "model.layers.#.post_attention_layernorm"),
            ("blk.#.post_ffw_norm", "model.layers.#.post_mlp_layernorm"),
            ("blk.#.ffn_up", "model.layers.#.mlp.gate_up_proj"), ("blk.#.ffn_down", "model.layers.#.mlp.down_proj"),
        ]
    static let chatglm: Rows = [
        ("token_embd", "transformer.embedding.word_embeddings"),
        ("output_norm", "transformer.encoder.final_layernorm"), ("output", "transformer.output_layer"),
        ("blk.#.attn_norm", "transformer.encoder.layers.#.input_layernorm"),
        ("blk.#.attn_qkv", "transformer.encoder.layers.#.self_attention.query_key_value"),
        ("blk.#.attn_output", "transformer.encoder.layers.#.self_attention.dense"),
        ("blk.#.ffn_norm", "transformer.encoder.layers.#.post_attention_layernorm"),
        ("blk.#.ffn_up", "transformer.encoder.layers.#.mlp.dense_h_to_4h"),
        ("blk.#.ffn_down", "transformer.encoder.layers.#.mlp.dense_4h_to_h"),
    ]
    /// Its MLP is w1 · silu(w2), so w2 is what others call the gate.
    static let qwen: Rows = [
        ("token_embd", "transformer.wte"), ("output_norm", "transformer.ln_f"), ("output", "lm_head"),
        ("blk.#.attn_norm", "transformer.h.#.ln_1"), ("blk.#.attn_qkv", "transformer.h.#.attn.c_attn"),
        ("blk.#.attn_output", "transformer.h.#.attn.c_proj"), ("blk.#.ffn_norm", "transformer.h.#.ln_2"),
        ("blk.#.ffn_up", "transformer.h.#.mlp.w1"), ("blk.#.ffn_gate", "transformer.h.#.mlp.w2"),
        ("blk.#.ffn_down", "transformer.h.#.mlp.c_proj"),
    ]
    /// GGUF holds the four projections as [out, in], the published Conv1D weights are [in, out].
    static let gpt2: Rows = [
        ("token_embd", "transformer.wte"), ("position_embd", "transformer.wpe"), ("output_norm", "transformer.ln_f"),
        ("output", "lm_head"), ("blk.#.attn_norm", "transformer.h.#.ln_1"),
        ("blk.#.attn_qkv", "transformer.h.#.attn.c_attn"), ("blk.#.attn_output", "transformer.h.#.attn.c_proj"),
        ("blk.#.ffn_norm", "transformer.h.#.ln_2"), ("blk.#.ffn_up", "transformer.h.#.mlp.c_fc"),
        ("blk.#.ffn_down", "transformer.h.#.mlp.c_proj"),
    ]
    /// InternLM2's own code: its one projection is cut into three.
    static let internlm2: Rows = [
        ("token_embd", "model.tok_embeddings"), ("output_norm", "model.norm"), ("output", "output"),
        ("blk.#.attn_norm", "model.layers.#.attention_norm"), ("blk.#.attn_qkv", "model.layers.#.attention.wqkv"),
        ("blk.#.attn_output", "model.layers.#.attention.wo"), ("blk.#.ffn_norm", "model.layers.#.ffn_norm"),
        ("blk.#.ffn_gate", "model.layers.#.feed_forward.w1"), ("blk.#.ffn_down", "model.layers.#.feed_forward.w2"),
        ("blk.#.ffn_up", "model.layers.#.feed_forward.w3"),
    ]
    static let starcoder2: Rows =
        frame + norms + attention + [
            ("blk.#.ffn_up", "model.layers.#.mlp.c_fc"), ("blk.#.ffn_down", "model.layers.#.mlp.c_proj"),
        ]
    static let bert: Rows = [
        ("token_embd", "embeddings.word_embeddings"), ("position_embd", "embeddings.position_embeddings"),
        ("token_types", "embeddings.token_type_embeddings"), ("token_embd_norm", "embeddings.LayerNorm"),
        ("blk.#.attn_q", "encoder.layer.#.attention.self.query"),
        ("blk.#.attn_k", "encoder.layer.#.attention.self.key"),
        ("blk.#.attn_v", "encoder.layer.#.attention.self.value"),
        ("blk.#.attn_output", "encoder.layer.#.attention.output.dense"),
        ("blk.#.attn_output_norm", "encoder.layer.#.attention.output.LayerNorm"),
        ("blk.#.ffn_up", "encoder.layer.#.intermediate.dense"), ("blk.#.ffn_down", "encoder.layer.#.output.dense"),
        ("blk.#.layer_output_norm", "encoder.layer.#.output.LayerNorm"), ("cls", "pooler.dense"),
        ("cls.output", "classifier"),
    ]
    static let xlmRoberta: Rows =
        bert + [("cls", "classifier.dense"), ("cls.output", "classifier.out_proj")]
    /// Newer files hold kv_b in two parts, k transposed; they keep names of their own.
    static let deepseek2: Rows =
        frame + norms + attention + mlp + experts + sharedExperts + [
            ("blk.#.attn_q_a", "model.layers.#.self_attn.q_a_proj"),
            ("blk.#.attn_q_b", "model.layers.#.self_attn.q_b_proj"),
            ("blk.#.attn_q_a_norm", "model.layers.#.self_attn.q_a_layernorm"),
            ("blk.#.attn_kv_a_mqa", "model.layers.#.self_attn.kv_a_proj_with_mqa"),
            ("blk.#.attn_kv_a_norm", "model.layers.#.self_attn.kv_a_layernorm"),
            ("blk.#.attn_kv_b", "model.layers.#.self_attn.kv_b_proj"),
            ("blk.#.attn_k_b", "model.layers.#.self_attn.k_b_proj"),
            ("blk.#.attn_v_b", "model.layers.#.self_attn.v_b_proj"),
        ]
}
