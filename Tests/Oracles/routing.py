"""How mixtures of experts choose, by the router modules of transformers.

    OMP_NUM_THREADS=1 python Tests/Oracles/routing.py

writes Tests/Goldens/routing/cases.json and routing.safetensors. Case C has "C/logits" [tokens, experts] (what the gate's
product gives), "C/bias" where the choice is corrected by one, and the answer "C/experts" i32 [tokens, k] with "C/weights";
each token's experts are put in rising order, as the order of the choice carries no meaning.
"""
import json
import pathlib
import types

import torch
from safetensors.torch import save_file
from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2TopkRouter
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3TopkRouter
from transformers.models.glm4_moe.modeling_glm4_moe import Glm4MoeTopkRouter
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssTopKRouter
from transformers.models.mixtral.modeling_mixtral import MixtralTopKRouter
from transformers.models.olmoe.modeling_olmoe import OlmoeTopKRouter
from transformers.models.qwen2_moe.modeling_qwen2_moe import Qwen2MoeTopKRouter
from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeTopKRouter

OUT = pathlib.Path(__file__).resolve().parent.parent / "Goldens" / "routing"
TOKENS = 12
CASES = {
    "mixtral": (MixtralTopKRouter, dict(experts=8, k=2)),
    "qwen2_moe": (Qwen2MoeTopKRouter, dict(experts=60, k=4, norm_topk_prob=False)),
    "qwen3_moe": (Qwen3MoeTopKRouter, dict(experts=128, k=8, norm_topk_prob=True)),
    "olmoe": (OlmoeTopKRouter, dict(experts=64, k=8, norm_topk_prob=False)),
    "deepseek_v2-greedy": (DeepseekV2TopkRouter, dict(experts=64, k=6, topk_method="greedy", routed_scaling_factor=1.0)),
    "deepseek_v2-groups": (DeepseekV2TopkRouter, dict(
        experts=160, k=6, topk_method="group_limited_greedy", n_group=8, topk_group=3, routed_scaling_factor=16.0)),
    "deepseek_v3": (DeepseekV3TopkRouter, dict(
        experts=256, k=8, n_group=8, topk_group=4, norm_topk_prob=True, routed_scaling_factor=2.5, bias=True)),
    "deepseek_v3-one-group": (DeepseekV3TopkRouter, dict(
        experts=64, k=6, n_group=1, topk_group=1, norm_topk_prob=True, routed_scaling_factor=2.446, bias=True)),
    "glm4_moe": (Glm4MoeTopkRouter, dict(
        experts=128, k=8, n_group=1, topk_group=1, norm_topk_prob=True, routed_scaling_factor=1.0, bias=True)),
    "gpt_oss": (GptOssTopKRouter, dict(experts=32, k=4)),
}


def main():
    gen = torch.Generator().manual_seed(99)
    tensors, described = {}, {}
    for name, (router, o) in CASES.items():
        n = o["experts"]
        config = types.SimpleNamespace(
            num_experts_per_tok=o["k"], num_experts=n, num_local_experts=n, n_routed_experts=n, hidden_size=n,
            norm_topk_prob=o.get("norm_topk_prob"), routed_scaling_factor=o.get("routed_scaling_factor"),
            n_group=o.get("n_group"), topk_group=o.get("topk_group"), topk_method=o.get("topk_method"),
            router_jitter_noise=0.0)
        module = router(config)
        logits = torch.randn(TOKENS, n, generator=gen) * 1.5
        with torch.no_grad():
            module.weight.copy_(torch.eye(n))
            if hasattr(module, "bias"):
                module.bias.zero_()
            if o.get("bias"):
                module.e_score_correction_bias.copy_(torch.randn(n, generator=gen) * 0.1)
                tensors[f"{name}/bias"] = module.e_score_correction_bias.clone()
            _, weights, experts = module(logits)
        order = experts.argsort(-1)
        tensors[f"{name}/logits"] = logits
        tensors[f"{name}/experts"] = experts.gather(1, order).to(torch.int32)
        tensors[f"{name}/weights"] = weights.gather(1, order)
        described[name] = {k: v for k, v in o.items() if k != "bias"}
        print(name, weights.sum(-1)[:3].tolist())
    OUT.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, OUT / "routing.safetensors")
    (OUT / "cases.json").write_text(json.dumps(described, indent=1) + "\n")


if __name__ == "__main__":
    main()
