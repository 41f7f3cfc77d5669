"""Steps of PyTorch + transformers + peft on the data of make_model.py, timed.

    python torch_step.py OUT MODE ROWS LENGTH STEPS        MODE: lora | full | dpo

bf16 weights, LoRA rank 8 on all linear layers, AdamW, no recomputation; DPO: the adapter off is the reference. Prints the median
tokens a second of the steps after the first, their spread, and the peak memory.
"""
import json
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F
import transformers
from peft import LoraConfig, get_peft_model


def main(out, mode, rows, length, steps):
    rows, length, steps = int(rows), int(length), int(steps)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(f"{out}/model", dtype=torch.bfloat16, attn_implementation="sdpa")
    if mode != "full":
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"))
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def logps(ids):
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float().log_softmax(-1)
        return logits.gather(-1, ids[:, 1:, None])[..., 0][:, length // 2:].sum(-1)

    speeds, losses = [], []
    for _ in range(steps):
        ids = torch.randint(2, 96, (rows, length))
        start = time.perf_counter()
        if mode == "dpo":
            with torch.no_grad(), model.disable_adapter():
                reference = logps(ids)
            margin = logps(ids) - reference
            loss = -F.logsigmoid(0.1 * (margin[0::2] - margin[1::2])).mean()
        else:
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        speeds.append(rows * length / (time.perf_counter() - start))
        losses.append(loss.item())
    later = speeds[1:]
    print(json.dumps(dict(
        what="torch", mode=mode, rows=rows, length=length, tokens_per_second=round(statistics.median(later), 1),
        least=round(min(later), 1), most=round(max(later), 1), threads=torch.get_num_threads(),
        peak_gib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2))))


if __name__ == "__main__":
    main(*sys.argv[1:])
