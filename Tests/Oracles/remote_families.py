"""Tiny models of families whose code lives beside their checkpoints and not in transformers.

    OMP_NUM_THREADS=1 python Tests/Oracles/remote_families.py [variant ...]

Each is the same function as a model that transformers does have, under other tensor names and packings; the mapping is the
one of the publishers' own converters. So transformers computes the answers (after the mapping's inverse) and the files here
carry the family's own names: same layout of files as families.py.

- internlm2: Llama; wqkv interleaves, per group of kv head, its query heads, then k, then v.
- qwen (version 1): Qwen2; c_attn stacks q, k, v; the activated half of the MLP is w2; intermediate_size counts both halves.
- baichuan (7B): Llama; W_pack stacks q, k, v. baichuan2: the rows of lm_head are divided by their norm first (the
  checkpoints are told apart by their vocabulary of 125,696, which a tiny model cannot have: "norm_head" is ours).
  baichuan-13b: no rotary, ALiBi slopes; its configuration has model_max_length and no max_position_embeddings.
- chatglm (ChatGLM3) and chatglm4 (GLM-4-9B): Glm; query_key_value stacks q, k, v; dense_h_to_4h stacks gate, up;
  the first half of each head turns, in neighbouring pairs; rope_ratio multiplies the base.
- minicpm: Granite; embeddings times scale_emb, each branch times scale_depth / sqrt(layers), final state divided by
  hidden_size / dim_model_base.
"""
import json
import pathlib
import sys
import zlib

import torch
import transformers
from safetensors.torch import save_file
from transformers.models.bloom.modeling_bloom import build_alibi_tensor

from families import ROOT, expectations, fill, report
from family_configs import BASE, LLAMA, QWEN2, merge

HIDDEN, LAYERS, HEADS, KV, HEAD = 32, 2, 4, 2, 8


def stem(i, old="model.layers"):
    return f"{old}.{i}."


def internlm2(w):
    out = {"model.tok_embeddings.weight": w["model.embed_tokens.weight"], "model.norm.weight": w["model.norm.weight"],
           "output.weight": w["lm_head.weight"]}
    for i in range(LAYERS):
        s = stem(i)
        q = w[s + "self_attn.q_proj.weight"].view(KV, HEADS // KV, HEAD, HIDDEN)
        k = w[s + "self_attn.k_proj.weight"].view(KV, 1, HEAD, HIDDEN)
        v = w[s + "self_attn.v_proj.weight"].view(KV, 1, HEAD, HIDDEN)
        out[s + "attention.wqkv.weight"] = torch.cat([q, k, v], 1).reshape(-1, HIDDEN)
        for new, old in [("attention.wo", "self_attn.o_proj"), ("feed_forward.w1", "mlp.gate_proj"),
                         ("feed_forward.w3", "mlp.up_proj"), ("feed_forward.w2", "mlp.down_proj"),
                         ("attention_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm")]:
            out[f"{s}{new}.weight"] = w[f"{s}{old}.weight"]
    return out


def stacked(w, s, kind):
    return torch.cat([w[f"{s}self_attn.{p}_proj.{kind}"] for p in "qkv"])


def qwen(w):
    out = {"transformer.wte.weight": w["model.embed_tokens.weight"], "transformer.ln_f.weight": w["model.norm.weight"],
           "lm_head.weight": w["lm_head.weight"]}
    for i in range(LAYERS):
        s, t = stem(i), stem(i, "transformer.h")
        out[t + "attn.c_attn.weight"], out[t + "attn.c_attn.bias"] = stacked(w, s, "weight"), stacked(w, s, "bias")
        for new, old in [("attn.c_proj", "self_attn.o_proj"), ("mlp.w2", "mlp.gate_proj"), ("mlp.w1", "mlp.up_proj"),
                         ("mlp.c_proj", "mlp.down_proj"), ("ln_1", "input_layernorm"),
                         ("ln_2", "post_attention_layernorm")]:
            out[f"{t}{new}.weight"] = w[f"{s}{old}.weight"]
    return out


def baichuan(w):
    out = {k: v for k, v in w.items() if not any(f"{p}_proj.weight" in k and "self_attn" in k for p in "qkv")}
    for i in range(LAYERS):
        out[stem(i) + "self_attn.W_pack.weight"] = stacked(w, stem(i), "weight")
    return out


def chatglm(w):
    out = {"transformer.embedding.word_embeddings.weight": w["model.embed_tokens.weight"],
           "transformer.encoder.final_layernorm.weight": w["model.norm.weight"],
           "transformer.output_layer.weight": w["lm_head.weight"]}
    for i in range(LAYERS):
        s, t = stem(i), stem(i, "transformer.encoder.layers")
        for kind in ("weight", "bias"):
            out[f"{t}self_attention.query_key_value.{kind}"] = stacked(w, s, kind)
        for new, old in [("self_attention.dense", "self_attn.o_proj"), ("mlp.dense_h_to_4h", "mlp.gate_up_proj"),
                         ("mlp.dense_4h_to_h", "mlp.down_proj"), ("input_layernorm", "input_layernorm"),
                         ("post_attention_layernorm", "post_attention_layernorm")]:
            out[f"{t}{new}.weight"] = w[f"{s}{old}.weight"]
    return out


def normalise_head(model):
    """What the reference computes with: unit rows. The file keeps the rows as they were."""
    raw = model.lm_head.weight.detach().clone()
    with torch.no_grad():
        model.lm_head.weight.copy_(torch.nn.functional.normalize(raw))
    return {"lm_head.weight": raw}


class Alibi(torch.nn.Module):
    """Llama without rotation, its causal mask carrying slope times key position."""

    def __init__(self, model):
        super().__init__()
        self.model, self.config = model, model.config
        model.model.rotary_emb.inv_freq.zero_()

    def forward(self, input_ids, **_):
        n = input_ids.shape[1]
        slopes = build_alibi_tensor(torch.ones(1, n), HEADS, torch.float32).view(1, HEADS, 1, n)
        mask = torch.full((n, n), float("-inf")).triu(1)
        return self.model(input_ids=input_ids, attention_mask=slopes + mask, use_cache=False)


GLM = merge(BASE, dict(
    model_type="glm", head_dim=16, partial_rotary_factor=0.5, attention_bias=True, pad_token_id=0))
CHATGLM = dict(
    architectures=["ChatGLMModel"], model_type="chatglm", add_bias_linear=False, add_qkv_bias=True,
    apply_query_key_layer_scaling=True, apply_residual_connection_post_layernorm=False, attention_softmax_in_fp32=True,
    bias_dropout_fusion=True, ffn_hidden_size=48, hidden_size=32, kv_channels=16, layernorm_epsilon=1e-5,
    multi_query_attention=True, multi_query_group_num=2, num_attention_heads=4, num_layers=2, original_rope=True,
    padded_vocab_size=96, post_layer_norm=True, rmsnorm=True, seq_length=256, tie_word_embeddings=False,
    torch_dtype="float32", eos_token_id=2, pad_token_id=0)
BAICHUAN = merge({k: v for k, v in LLAMA.items() if k not in (
    "num_key_value_heads", "rope_theta", "attention_bias", "mlp_bias")}, dict(
    architectures=["BaichuanForCausalLM"], model_type="baichuan", rms_norm_eps=1e-6, model_max_length=256, pad_token_id=0))
SCALED = merge(LLAMA, dict(num_key_value_heads=4, rms_norm_eps=1e-6))
MINICPM = merge(LLAMA, dict(
    architectures=["MiniCPMForCausalLM"], model_type="minicpm", num_key_value_heads=4, scale_emb=12, scale_depth=1.4,
    dim_model_base=8, rope_scaling=None))
GRANITE = merge(LLAMA, dict(
    model_type="granite", num_key_value_heads=4, embedding_multiplier=12.0, residual_multiplier=1.4 / LAYERS**0.5,
    logits_scaling=HIDDEN / 8, attention_multiplier=HEAD**-0.5))

# name -> (configuration that transformers computes, configuration of the family, tensors' mapping, change before computing)
VARIANTS = {
    "internlm2": (LLAMA, merge({k: v for k, v in LLAMA.items() if k not in ("attention_bias", "mlp_bias")}, dict(
        architectures=["InternLM2ForCausalLM"], model_type="internlm2", bias=False,
        rope_scaling=dict(type="dynamic", factor=2.0))), internlm2, None),
    "qwen": (merge(QWEN2, dict(num_key_value_heads=4, rope_theta=10000.0)), dict(
        architectures=["QWenLMHeadModel"], model_type="qwen", vocab_size=96, hidden_size=32, intermediate_size=96,
        num_hidden_layers=2, num_attention_heads=4, kv_channels=8, layer_norm_epsilon=1e-6, max_position_embeddings=256,
        seq_length=256, no_bias=True, rotary_emb_base=10000, rotary_pct=1.0, scale_attn_weights=True,
        use_dynamic_ntk=True, use_logn_attn=True, tie_word_embeddings=False, torch_dtype="float32"), qwen, None),
    "baichuan": (SCALED, BAICHUAN, baichuan, None),
    "baichuan2": (SCALED, merge(BAICHUAN, dict(norm_head=True)), baichuan, normalise_head),
    "baichuan-13b": (SCALED, {k: v for k, v in BAICHUAN.items() if k != "max_position_embeddings"}, baichuan, Alibi),
    "chatglm": (GLM, CHATGLM, chatglm, None),
    "chatglm4": (merge(GLM, dict(rope_theta=10000.0 * 50, rms_norm_eps=1.5625e-7)), merge(CHATGLM, dict(
        architectures=["ChatGLMForConditionalGeneration"], rope_ratio=50, layernorm_epsilon=1.5625e-7)), chatglm, None),
    "minicpm": (GRANITE, MINICPM, dict, None),
}


def build(name):
    source, config, mapping, change = VARIANTS[name]
    directory = ROOT / name
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    parsed = transformers.AutoConfig.for_model(**source)
    first = zlib.crc32(name.encode()) % 10000
    for seed in range(first, first + 60):
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(parsed, attn_implementation="eager").float().eval()
        fill(model, seed)
        weights = {k: v.clone() for k, v in model.state_dict().items()}
        if source.get("tie_word_embeddings"):
            weights.pop("lm_head.weight", None)
        asked = model
        if change is Alibi:
            asked = Alibi(model)
        elif change:
            weights.update(change(model))
        expected, faults = expectations(asked, "lm", seed, True, name)
        if not faults:
            break
    else:
        raise SystemExit(f"{name}: no seed gives a usable model: {faults}")
    weights = {k: v.clone().contiguous() for k, v in mapping(weights).items()}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    save_file(expected, directory / "expected.safetensors", metadata={"seed": str(seed)})
    report(name, seed, weights, expected, directory)


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    for name in sys.argv[1:] or VARIANTS:
        build(name)
