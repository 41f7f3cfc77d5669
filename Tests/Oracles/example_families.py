"""What transformers says of the models that the example plugins build: log-probabilities of two id lists each.

    OMP_NUM_THREADS=1 python Tests/Oracles/example_families.py

writes Tests/Goldens/examples/<variant>/{config.json, model.safetensors, logprobs.json} for the StableLM family, and
Tests/Goldens/examples/llama/logprobs.json for the model in Tests/Goldens/families/llama.
"""
import json
import pathlib

import torch
import transformers

import families
from family_configs import BASE, LM, merge

ROOT = pathlib.Path(__file__).resolve().parent.parent / "Goldens"
STABLE = merge(BASE, dict(
    architectures=["StableLmForCausalLM"], model_type="stablelm", layer_norm_eps=1e-5, partial_rotary_factor=0.5,
    use_qkv_bias=True, qk_layernorm=False, use_parallel_residual=False, tie_word_embeddings=False,
    hidden_dropout=0.0, attention_dropout=0.0))
VARIANTS = {"stablelm": STABLE, "stablelm-parallel": merge(STABLE, dict(use_parallel_residual=True, use_qkv_bias=False))}


def logprobs(directory):
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager", dtype=torch.float32)
    lines = []
    for ids in families.inputs(7):
        with torch.no_grad():
            table = model.eval()(input_ids=ids).logits[0].double().log_softmax(-1)
        values = table[:-1].gather(1, ids[0, 1:, None])[:, 0]
        lines.append({"ids": ids[0].tolist(), "logprobs": [round(v, 7) for v in values.tolist()]})
    return "[\n" + ",\n".join(json.dumps(line) for line in lines) + "\n]\n"


def main():
    families.ROOT = ROOT / "examples"
    for name, config in VARIANTS.items():
        families.build(name, config, LM, ROOT / "examples" / name)
        (ROOT / "examples" / name / "logprobs.json").write_text(logprobs(ROOT / "examples" / name))
        (ROOT / "examples" / name / "expected.safetensors").unlink()
    (ROOT / "examples/llama").mkdir(exist_ok=True)
    (ROOT / "examples/llama/logprobs.json").write_text(logprobs(ROOT / "families/llama"))


main()
