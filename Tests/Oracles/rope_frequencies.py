"""Inverse wavelengths of rotary positions by transformers, for configurations as large as the real ones.

    OMP_NUM_THREADS=1 python Tests/Oracles/rope_frequencies.py

writes Tests/Goldens/rope/frequencies.json: for each entry the configuration (the older spelling, as in checkpoints), the
length of the sequence where it matters, inv_freq (radians a position, f32) and the factor on cosine and sine.
"""
import json
import pathlib

import torch
import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

OUT = pathlib.Path(__file__).resolve().parent.parent / "Goldens" / "rope" / "frequencies.json"
# LongRoPE's factors are searched for each checkpoint; these only have their shape: rising, 48 pairs.
SHORT = [round(1.0 + 0.03 * i, 4) for i in range(48)]
LONG = [round(1.05 + 0.02 * i + 0.028 * i * i, 4) for i in range(48)]


def llama(**more):
    return dict(dict(model_type="llama", hidden_size=4096, num_attention_heads=32, max_position_embeddings=8192,
                     rope_theta=500000.0), **more)


PHI3 = dict(model_type="phi3", hidden_size=3072, num_attention_heads=32, num_key_value_heads=32, rope_theta=10000.0,
            max_position_embeddings=131072, original_max_position_embeddings=4096,
            rope_scaling=dict(type="longrope", short_factor=SHORT, long_factor=LONG))
ENTRIES = {  # name -> (configuration, sequence length or None)
    "plain": (llama(), None),
    "llama-3.1-8b": (llama(max_position_embeddings=131072, rope_scaling=dict(
        rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=8192)), None),
    "llama-3.2-1b": (llama(hidden_size=2048, head_dim=64, max_position_embeddings=131072, rope_scaling=dict(
        rope_type="llama3", factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=8192)), None),
    "linear": (llama(rope_theta=10000.0, rope_scaling=dict(type="linear", factor=4.0)), None),
    "dynamic-within": (llama(rope_theta=10000.0, max_position_embeddings=4096,
                             rope_scaling=dict(type="dynamic", factor=2.0)), 4096),
    "dynamic-beyond": (llama(rope_theta=10000.0, max_position_embeddings=4096,
                             rope_scaling=dict(type="dynamic", factor=2.0)), 9000),
    "qwen2.5-yarn": (dict(model_type="qwen2", hidden_size=3584, num_attention_heads=28, num_key_value_heads=4,
                          rope_theta=1000000.0, max_position_embeddings=32768, rope_scaling=dict(
                              type="yarn", factor=4.0, original_max_position_embeddings=32768)), None),
    "yarn-attention-factor": (llama(rope_theta=10000.0, rope_scaling=dict(
        rope_type="yarn", factor=16.0, original_max_position_embeddings=4096, attention_factor=0.9, beta_fast=24.0,
        beta_slow=2.0)), None),
    "deepseek-v3": (dict(model_type="deepseek_v3", hidden_size=7168, num_attention_heads=128, qk_rope_head_dim=64,
                         rope_theta=10000.0, max_position_embeddings=163840, rope_scaling=dict(
                             type="yarn", factor=40, original_max_position_embeddings=4096, beta_fast=32, beta_slow=1,
                             mscale=1.0, mscale_all_dim=1.0)), None),
    "deepseek-v2-lite": (dict(model_type="deepseek_v2", hidden_size=2048, num_attention_heads=16, qk_rope_head_dim=64,
                              rope_theta=10000.0, max_position_embeddings=163840, rope_scaling=dict(
                                  type="yarn", factor=40, original_max_position_embeddings=4096, beta_fast=32, beta_slow=1,
                                  mscale=0.707, mscale_all_dim=0.707)), None),
    "yarn-uneven-mscale": (dict(model_type="deepseek_v3", hidden_size=2048, num_attention_heads=16, qk_rope_head_dim=64,
                                rope_theta=10000.0, max_position_embeddings=163840, rope_scaling=dict(
                                    type="yarn", factor=40, original_max_position_embeddings=4096, beta_fast=32,
                                    beta_slow=1, mscale=1.0, mscale_all_dim=0.707)), None),
    "gpt-oss": (dict(model_type="gpt_oss", hidden_size=2880, num_attention_heads=64, head_dim=64, rope_theta=150000.0,
                     max_position_embeddings=131072, rope_scaling=dict(
                         rope_type="yarn", factor=32.0, original_max_position_embeddings=4096, beta_fast=32.0,
                         beta_slow=1.0, truncate=False)), None),
    "phi3-short": (PHI3, 4096),
    "phi3-long": (PHI3, 4097),
    "phi3-partial": (dict(PHI3, partial_rotary_factor=0.75, hidden_size=4096), 4097),
}


def main():
    out = {}
    for name, (config, length) in ENTRIES.items():
        parsed = transformers.AutoConfig.for_model(**json.loads(json.dumps(config)))
        kind = parsed.rope_parameters["rope_type"]
        if kind == "default":  # the one kind that is not in the table
            values, factor = 1 / parsed.rope_parameters["rope_theta"] ** (torch.arange(0, 128, 2).float() / 128), 1.0
        else:
            values, factor = ROPE_INIT_FUNCTIONS[kind](parsed, torch.device("cpu"), seq_len=length)
        assert torch.isfinite(values).all()
        out[name] = dict(config=config, sequence_length=length, rope_type=kind, attention_factor=float(factor),
                         inv_freq=values.float().tolist())
        print(f"{name:24} {kind:10} {len(values):3} {float(factor):.6f} {values[0]:.6g} {values[-1]:.6g}")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in out.items()) + "\n}\n")


if __name__ == "__main__":
    main()
