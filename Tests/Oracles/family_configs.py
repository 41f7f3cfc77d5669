"""The variants of every family: config.json dictionaries as the published checkpoints spell them.

Each entry of VARIANTS is name -> (config, head), where head names the transformers auto class:
"lm" (AutoModelForCausalLM), "base" (AutoModel), "cls" (AutoModelForSequenceClassification),
"mlm" (AutoModelForMaskedLM), "tokens" (AutoModelForTokenClassification). Sizes are tiny; switches (norm, bias, rope, tie, window, routing) are those of real models.
"""


def merge(*parts):
    out = {}
    for part in parts:
        out.update(part)
    return out


BASE = dict(
    vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=256, hidden_act="silu", rms_norm_eps=1e-5, rope_theta=10000.0,
    bos_token_id=1, eos_token_id=2, tie_word_embeddings=False, torch_dtype="float32", use_cache=True,
)
LLAMA = merge(BASE, dict(architectures=["LlamaForCausalLM"], model_type="llama", attention_bias=False, mlp_bias=False))
# Wider heads leave enough frequencies for the scaled variants to differ in every band.
WIDE = dict(num_attention_heads=2, num_key_value_heads=1, head_dim=16)
QWEN2 = merge(BASE, dict(
    architectures=["Qwen2ForCausalLM"], model_type="qwen2", rope_theta=1000000.0, rms_norm_eps=1e-6,
    sliding_window=64, max_window_layers=2, use_sliding_window=False))
QWEN3 = merge(BASE, dict(
    architectures=["Qwen3ForCausalLM"], model_type="qwen3", head_dim=16, rope_theta=1000000.0, rms_norm_eps=1e-6,
    attention_bias=False, use_sliding_window=False, sliding_window=None, max_window_layers=2, tie_word_embeddings=True))
MISTRAL = merge(BASE, dict(architectures=["MistralForCausalLM"], model_type="mistral", sliding_window=None))
GEMMA = merge(BASE, dict(
    hidden_act="gelu_pytorch_tanh", hidden_activation="gelu_pytorch_tanh", head_dim=16, rms_norm_eps=1e-6,
    num_key_value_heads=1, attention_bias=False, tie_word_embeddings=True, pad_token_id=0))
GEMMA3 = merge(GEMMA, dict(
    architectures=["Gemma3ForCausalLM"], model_type="gemma3_text", num_hidden_layers=3, num_key_value_heads=1,
    rope_theta=1000000.0, rope_local_base_freq=10000.0, query_pre_attn_scalar=16, sliding_window=6,
    sliding_window_pattern=3, attn_logit_softcapping=None, final_logit_softcapping=None))
PHI3 = merge(BASE, dict(
    architectures=["Phi3ForCausalLM"], model_type="phi3", original_max_position_embeddings=256, rope_scaling=None,
    sliding_window=None, pad_token_id=0, num_key_value_heads=4))
DEEPSEEK = merge(BASE, dict(
    num_key_value_heads=4, num_hidden_layers=2, kv_lora_rank=16, q_lora_rank=None, qk_nope_head_dim=8, qk_rope_head_dim=8, v_head_dim=8,
    n_routed_experts=4, n_shared_experts=1, num_experts_per_tok=2, moe_intermediate_size=16, first_k_dense_replace=1,
    moe_layer_freq=1, rms_norm_eps=1e-6, attention_bias=False))
DEEPSEEK2 = merge(DEEPSEEK, dict(
    architectures=["DeepseekV2ForCausalLM"], model_type="deepseek_v2", topk_method="greedy", n_group=1, topk_group=1,
    norm_topk_prob=False, routed_scaling_factor=1.0, scoring_func="softmax"))
DEEPSEEK3 = merge(DEEPSEEK, dict(
    architectures=["DeepseekV3ForCausalLM"], model_type="deepseek_v3", q_lora_rank=24, topk_method="noaux_tc",
    n_routed_experts=8, moe_intermediate_size=12, n_group=4, topk_group=2, norm_topk_prob=True,
    routed_scaling_factor=2.5, scoring_func="sigmoid"))
YARN_DEEPSEEK = dict(rope_scaling=dict(
    type="yarn", factor=40, original_max_position_embeddings=16, beta_fast=32, beta_slow=1, mscale=0.707,
    mscale_all_dim=0.707), max_position_embeddings=640)
COHERE = merge(BASE, dict(
    architectures=["CohereForCausalLM"], model_type="cohere", layer_norm_eps=1e-5, logit_scale=0.25,
    attention_bias=False, use_qk_norm=False, tie_word_embeddings=True, pad_token_id=0))
OLMO = merge(BASE, dict(
    architectures=["OlmoForCausalLM"], model_type="olmo", clip_qkv=None, attention_bias=False, pad_token_id=0))
NEOX = dict(
    architectures=["GPTNeoXForCausalLM"], model_type="gpt_neox", vocab_size=96, hidden_size=32, intermediate_size=64,
    num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=128, hidden_act="gelu", rotary_pct=0.25,
    rotary_emb_base=10000, layer_norm_eps=1e-5, use_parallel_residual=True, tie_word_embeddings=False,
    bos_token_id=0, eos_token_id=0, torch_dtype="float32")
BERT = dict(
    architectures=["BertModel"], model_type="bert", vocab_size=96, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=4, max_position_embeddings=64, type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-12,
    pad_token_id=0, position_embedding_type="absolute", torch_dtype="float32", hidden_dropout_prob=0.1,
    attention_probs_dropout_prob=0.1)
MODERNBERT = dict(
    architectures=["ModernBertForMaskedLM"], model_type="modernbert", vocab_size=96, hidden_size=32, intermediate_size=48,
    num_hidden_layers=4, num_attention_heads=4, max_position_embeddings=128, global_attn_every_n_layers=3,
    local_attention=8, global_rope_theta=160000.0, local_rope_theta=10000.0, hidden_activation="gelu", norm_eps=1e-5,
    norm_bias=False, attention_bias=False, mlp_bias=False, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    cls_token_id=1, sep_token_id=2, decoder_bias=True, classifier_pooling="mean", classifier_bias=False,
    classifier_activation="gelu", deterministic_flash_attn=False, sparse_prediction=False, torch_dtype="float32",
    reference_compile=False)

LM, ENC, CLS, MLM, TOK = "lm", "base", "cls", "mlm", "tokens"
NAMES = dict(id2label={"0": "O", "1": "B", "2": "I"}, label2id={"O": 0, "B": 1, "I": 2})
VARIANTS = {
    # -- Llama class: rope, tie, bias
    "llama": (LLAMA, LM),
    "llama-tied": (merge(LLAMA, dict(tie_word_embeddings=True)), LM),
    "llama-bias": (merge(LLAMA, dict(attention_bias=True, mlp_bias=True)), LM),
    "llama-mha": (merge(LLAMA, dict(num_key_value_heads=4)), LM),
    "llama-rope-llama3": (merge(LLAMA, WIDE, dict(rope_theta=500000.0, rope_scaling=dict(
        rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=32))), LM),
    "llama-rope-linear": (merge(LLAMA, WIDE, dict(rope_scaling=dict(type="linear", factor=4.0))), LM),
    "llama-rope-dynamic": (merge(LLAMA, WIDE, dict(
        max_position_embeddings=8, rope_scaling=dict(type="dynamic", factor=2.0))), LM),
    "llama-rope-dynamic-crossing": (merge(LLAMA, WIDE, dict(
        max_position_embeddings=16, rope_scaling=dict(type="dynamic", factor=2.0))), LM),
    "llama-rope-yarn": (merge(LLAMA, WIDE, dict(rope_scaling=dict(
        rope_type="yarn", factor=8.0, original_max_position_embeddings=32, beta_fast=32.0, beta_slow=1.0))), LM),
    # transformers 5 writes one rope_parameters dictionary and dtype in place of the four older names
    "llama-v5config": ({k: v for k, v in merge(LLAMA, dict(
        dtype="float32", rope_parameters=dict(rope_type="default", rope_theta=20000.0))).items()
        if k not in ("rope_theta", "torch_dtype")}, LM),
    "llama-classifier": (merge(LLAMA, dict(
        architectures=["LlamaForSequenceClassification"], pad_token_id=0,
        id2label={"0": "a", "1": "b", "2": "c"}, label2id={"a": 0, "b": 1, "c": 2})), CLS),
    "llama-tokens": (merge(LLAMA, dict(architectures=["LlamaForTokenClassification"], **NAMES)), TOK),
    # -- Mistral, Mixtral
    "mistral": (MISTRAL, LM),
    "mistral-window": (merge(MISTRAL, dict(sliding_window=7)), LM),
    "mistral-head-dim": (merge(MISTRAL, dict(head_dim=16, rope_theta=1000000.0)), LM),
    "mixtral": (merge(BASE, dict(
        architectures=["MixtralForCausalLM"], model_type="mixtral", num_local_experts=4, num_experts_per_tok=2,
        intermediate_size=24, sliding_window=None, rope_theta=1000000.0, output_router_logits=False)), LM),
    # -- Qwen
    "qwen2": (QWEN2, LM),
    "qwen2-tied": (merge(QWEN2, dict(tie_word_embeddings=True)), LM),
    "qwen2-window": (merge(QWEN2, dict(use_sliding_window=True, sliding_window=6, max_window_layers=1)), LM),
    "qwen2-yarn": (merge(QWEN2, WIDE, dict(max_position_embeddings=32, rope_scaling=dict(
        type="yarn", factor=4.0, original_max_position_embeddings=32))), LM),
    "qwen2-reward": (merge(QWEN2, dict(
        architectures=["Qwen2ForSequenceClassification"], pad_token_id=0, id2label={"0": "LABEL_0"},
        label2id={"LABEL_0": 0})), CLS),
    "qwen2_moe": (merge(QWEN2, dict(
        architectures=["Qwen2MoeForCausalLM"], model_type="qwen2_moe", num_experts=4, num_experts_per_tok=2,
        moe_intermediate_size=16, shared_expert_intermediate_size=24, norm_topk_prob=False, decoder_sparse_step=1,
        mlp_only_layers=[], output_router_logits=False)), LM),
    "qwen3": (QWEN3, LM),
    "qwen3-untied": (merge(QWEN3, dict(tie_word_embeddings=False)), LM),
    "qwen3-embedding": (merge(QWEN3, dict(architectures=["Qwen3Model"])), ENC),
    "qwen3_moe": (merge(QWEN3, dict(
        architectures=["Qwen3MoeForCausalLM"], model_type="qwen3_moe", tie_word_embeddings=False, num_experts=4,
        num_experts_per_tok=2, moe_intermediate_size=16, norm_topk_prob=True, decoder_sparse_step=1,
        mlp_only_layers=[], output_router_logits=False)), LM),
    "qwen3_moe-mixed": (merge(QWEN3, dict(
        architectures=["Qwen3MoeForCausalLM"], model_type="qwen3_moe", tie_word_embeddings=False, num_hidden_layers=2,
        num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, norm_topk_prob=False, decoder_sparse_step=1,
        mlp_only_layers=[1], output_router_logits=False)), LM),
    # -- Gemma
    "gemma": (merge(GEMMA, dict(architectures=["GemmaForCausalLM"], model_type="gemma")), LM),
    "gemma2": (merge(GEMMA, dict(
        architectures=["Gemma2ForCausalLM"], model_type="gemma2", num_key_value_heads=2, query_pre_attn_scalar=12,
        sliding_window=6, attn_logit_softcapping=5.0, final_logit_softcapping=8.0)), LM),
    "gemma3_text": (GEMMA3, LM),
    "gemma3_text-linear": (merge(GEMMA3, dict(rope_scaling=dict(rope_type="linear", factor=8.0))), LM),
    # EmbeddingGemma's: every token sees to both sides
    "gemma3_text-embedding": (merge(GEMMA3, dict(
        architectures=["Gemma3TextModel"], use_bidirectional_attention=True)), ENC),
    # -- Phi-3: fused qkv and gate_up; longrope on both sides of the original length
    "phi3": (PHI3, LM),
    "phi3-window-gqa": (merge(PHI3, dict(sliding_window=7, num_key_value_heads=2)), LM),
    "phi3-longrope-short": (merge(PHI3, dict(
        max_position_embeddings=1024, rope_scaling=dict(
            type="longrope", short_factor=[1.0, 1.1, 1.3, 1.6], long_factor=[1.2, 2.0, 4.5, 9.0]))), LM),
    "phi3-longrope-long": (merge(PHI3, dict(
        max_position_embeddings=256, original_max_position_embeddings=8, rope_scaling=dict(
            type="longrope", short_factor=[1.0, 1.1, 1.3, 1.6], long_factor=[1.2, 2.0, 4.5, 9.0]))), LM),
    # the shorter prompt is within the original length, and its continuation passes it
    "phi3-longrope-crossing": (merge(PHI3, dict(
        max_position_embeddings=256, original_max_position_embeddings=16, rope_scaling=dict(
            type="longrope", short_factor=[1.0, 1.1, 1.3, 1.6], long_factor=[1.2, 2.0, 4.5, 9.0]))), LM),
    "phi3-partial-rotary": (merge(PHI3, dict(
        partial_rotary_factor=0.75, hidden_size=32, num_attention_heads=2, num_key_value_heads=1, head_dim=16,
        tie_word_embeddings=True)), LM),
    # -- GLM
    "glm": (merge(BASE, dict(
        architectures=["GlmForCausalLM"], model_type="glm", head_dim=16, partial_rotary_factor=0.5,
        attention_bias=True, rms_norm_eps=1.5625e-07, pad_token_id=0)), LM),
    "glm4": (merge(BASE, dict(
        architectures=["Glm4ForCausalLM"], model_type="glm4", head_dim=16, partial_rotary_factor=0.5,
        attention_bias=True, pad_token_id=0)), LM),
    "glm4_moe": (merge(BASE, dict(
        architectures=["Glm4MoeForCausalLM"], model_type="glm4_moe", head_dim=16, partial_rotary_factor=0.5,
        attention_bias=True, use_qk_norm=True, n_routed_experts=4, n_shared_experts=1, num_experts_per_tok=2,
        moe_intermediate_size=16, first_k_dense_replace=1, n_group=1, topk_group=1, norm_topk_prob=True,
        routed_scaling_factor=1.5, num_hidden_layers=2, pad_token_id=0)), LM),
    # -- DeepSeek
    "deepseek_v2-lite": (DEEPSEEK2, LM),
    "deepseek_v2": (merge(DEEPSEEK2, YARN_DEEPSEEK, dict(
        q_lora_rank=24, n_routed_experts=8, moe_intermediate_size=12, n_shared_experts=2, num_experts_per_tok=3, topk_method="group_limited_greedy",
        n_group=4, topk_group=2, routed_scaling_factor=4.0)), LM),
    "deepseek_v3": (merge(DEEPSEEK3, YARN_DEEPSEEK, dict(rope_scaling=merge(
        YARN_DEEPSEEK["rope_scaling"], dict(mscale=1.0, mscale_all_dim=1.0)))), LM),
    "deepseek_v3-plain": (merge(DEEPSEEK3, dict(
        q_lora_rank=None, n_group=1, topk_group=1, n_routed_experts=4, moe_intermediate_size=16,
        routed_scaling_factor=2.446)), LM),
    # -- Cohere, OLMo
    "cohere": (COHERE, LM),
    "cohere-qk-norm": (merge(COHERE, dict(use_qk_norm=True)), LM),
    "cohere2": (merge(COHERE, dict(
        architectures=["Cohere2ForCausalLM"], model_type="cohere2", num_hidden_layers=4, sliding_window=6, head_dim=8,
        sliding_window_pattern=4, layer_switch=4, intermediate_size=32)), LM),
    "olmo": (OLMO, LM),
    "olmo-clip": (merge(OLMO, dict(clip_qkv=0.5, num_key_value_heads=4)), LM),
    "olmo2": (merge(OLMO, dict(architectures=["Olmo2ForCausalLM"], model_type="olmo2", rms_norm_eps=1e-6)), LM),
    "olmoe": (merge(OLMO, dict(
        architectures=["OlmoeForCausalLM"], model_type="olmoe", num_experts=4, num_experts_per_tok=2, intermediate_size=16,
        norm_topk_prob=False, num_key_value_heads=4, output_router_logits=False)), LM),
    # -- LayerNorm decoders
    "gpt2": (dict(
        architectures=["GPT2LMHeadModel"], model_type="gpt2", vocab_size=96, n_embd=32, n_layer=2, n_head=4,
        n_positions=96, n_ctx=96, n_inner=64, activation_function="gelu_new", layer_norm_epsilon=1e-5,
        bos_token_id=1, eos_token_id=2, tie_word_embeddings=True, torch_dtype="float32"), LM),
    "starcoder2": (merge(BASE, dict(
        architectures=["Starcoder2ForCausalLM"], model_type="starcoder2", hidden_act="gelu_pytorch_tanh",
        norm_epsilon=1e-5, norm_type="layer_norm", mlp_type="default", use_bias=True, sliding_window=7, tie_word_embeddings=True,
        embedding_dropout=0.0, residual_dropout=0.0)), LM),
    "gpt_neox": (NEOX, LM),
    "gpt_neox-serial": (merge(NEOX, dict(use_parallel_residual=False, rotary_pct=1.0)), LM),
    "falcon": (dict(
        architectures=["FalconForCausalLM"], model_type="falcon", vocab_size=96, hidden_size=32, num_hidden_layers=2,
        num_attention_heads=4, multi_query=True, parallel_attn=True, bias=False, alibi=False,
        new_decoder_architecture=False, layer_norm_epsilon=1e-5, bos_token_id=1, eos_token_id=2, torch_dtype="float32",
        tie_word_embeddings=True), LM),
    # -- Encoders
    "bert": (BERT, ENC),
    "bert-classifier": (merge(BERT, dict(
        architectures=["BertForSequenceClassification"], id2label={"0": "a", "1": "b"}, label2id={"a": 0, "b": 1})), CLS),
    "bert-reranker": (merge(BERT, dict(
        architectures=["BertForSequenceClassification"], id2label={"0": "LABEL_0"}, label2id={"LABEL_0": 0})), CLS),
    "bert-tokens": (merge(BERT, dict(
        architectures=["BertForTokenClassification"], **NAMES)), TOK),
    "xlm_roberta-tokens": (merge(BERT, dict(
        architectures=["XLMRobertaForTokenClassification"], model_type="xlm-roberta", type_vocab_size=1,
        pad_token_id=1, bos_token_id=0, eos_token_id=2, layer_norm_eps=1e-5, **NAMES)), TOK),
    "bert-mlm": (merge(BERT, dict(architectures=["BertForMaskedLM"])), MLM),
    "xlm_roberta": (merge(BERT, dict(
        architectures=["XLMRobertaModel"], model_type="xlm-roberta", type_vocab_size=1, pad_token_id=1, bos_token_id=0,
        eos_token_id=2, layer_norm_eps=1e-5)), ENC),
    "xlm_roberta-classifier": (merge(BERT, dict(
        architectures=["XLMRobertaForSequenceClassification"], model_type="xlm-roberta", type_vocab_size=1,
        pad_token_id=1, bos_token_id=0, eos_token_id=2, layer_norm_eps=1e-5, id2label={"0": "LABEL_0"},
        label2id={"LABEL_0": 0})), CLS),
    "modernbert": (merge(MODERNBERT, dict(architectures=["ModernBertModel"])), ENC),
    "modernbert-mlm": (MODERNBERT, MLM),
    "modernbert-tokens": (merge(MODERNBERT, dict(architectures=["ModernBertForTokenClassification"], **NAMES)), TOK),
    "modernbert-classifier": (merge(MODERNBERT, dict(
        architectures=["ModernBertForSequenceClassification"], id2label={"0": "a", "1": "b"},
        label2id={"a": 0, "b": 1})), CLS),
}

# Frequencies that change with the current length make a cached continuation differ from a recomputed one: logits only.
NO_GREEDY = {"llama-rope-dynamic"}

# Answers that transformers gives one token at a time over its cache: both prompts', each by itself
LENGTH_DEPENDENT = {"phi3-longrope-crossing", "llama-rope-dynamic-crossing"}
