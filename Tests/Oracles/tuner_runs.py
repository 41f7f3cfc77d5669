"""Twenty training steps of the other tuners, on the rows and settings of training.py.

    OMP_NUM_THREADS=1 python Tests/Oracles/tuner_runs.py        (after training.py)

writes under Tests/Goldens/training, each with steps.json and, where they train, adapter_init and adapter_final:
- plus-llama: LoRA+ by peft, the rate of B 16 times that of A (peft gives no decay here: weight_decay 0);
- dora-llama, rslora-llama: peft;
- qlora-llama, qdora-llama: LoRA and DoRA over the linear layers of the blocks in NF4 (blocks of 64, no double quantization), as
  bitsandbytes decodes them; they start from the adapter_init of lora-llama and dora-llama;
- pissa-llama: what peft's PiSSA start makes of three matrices: "<name>.product" is scaling · B A and "<name>.residual" the base
  weight that is left (factors are free up to signs, the products are not).
"""
import torch
import transformers
from bitsandbytes import functional as bnb
from peft import LoraConfig, PeftModel, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from safetensors.torch import load_file

from training import MAX_NORM, OPTIMIZER, ROOT, adapter, base_model, loop, probe, save, save_adapter, settings, sft_backward, write


def keep(name, tuned, figures, **more):
    out = ROOT / name
    save_adapter(tuned, out / "adapter_final")
    save(out / "expected.safetensors", {"logits_final": probe(tuned, "llama")})
    write(out / "steps.json", dict(base="families/llama", settings={**settings(len(figures)), **more}, steps=figures))
    print(name, [round(f["loss"], 5) for f in figures], [round(f["grad_norm"], 3) for f in figures])


def plus(rows):
    tuned = adapter(base_model("llama"), seed=51)
    save_adapter(tuned, ROOT / "plus-llama" / "adapter_init")
    options = {k: v for k, v in OPTIMIZER.items() if k != "weight_decay"}
    optimizer = create_loraplus_optimizer(tuned, torch.optim.AdamW, loraplus_lr_ratio=16, **options)
    figures = []
    for step in range(20):
        optimizer.zero_grad()
        record = sft_backward(tuned, rows, step)
        trained = [p for p in tuned.parameters() if p.requires_grad]
        record["grad_norm"] = torch.nn.utils.clip_grad_norm_(trained, MAX_NORM).item()
        optimizer.step()
        figures.append(record)
    keep("plus-llama", tuned, figures, weight_decay=0.0, lorap_lr_ratio=16)


def variant(name, rows, seed, **options):
    tuned = adapter(base_model("llama"), seed, **options)
    save_adapter(tuned, ROOT / name / "adapter_init")
    figures, _ = loop(tuned, lambda step: sft_backward(tuned, rows, step), 20)
    keep(name, tuned, figures, **options)


def quantized(name, start, rows):
    base = base_model("llama")
    with torch.no_grad():
        for module in base.model.modules():
            if isinstance(module, torch.nn.Linear):
                # As rows of one block: version 0.50.2 decodes rows that are shorter than a block wrongly on the CPU.
                blocks = module.weight.data.reshape(-1, 64)
                codes, state = bnb.quantize_4bit(blocks, blocksize=64, quant_type="nf4", compress_statistics=False)
                module.weight.copy_(bnb.dequantize_4bit(codes, state).reshape(module.weight.shape))
    tuned = PeftModel.from_pretrained(base, ROOT / start / "adapter_init", is_trainable=True)
    figures, _ = loop(tuned, lambda step: sft_backward(tuned, rows, step), 20)
    keep(name, tuned, figures, quant_type="nf4", blocksize=64)


def pissa():
    tuned = get_peft_model(base_model("llama"), LoraConfig(
        r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights="pissa", task_type="CAUSAL_LM"))
    original = load_file(ROOT.parent / "families/llama/model.safetensors")
    tensors = {}
    for name in ("model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.k_proj", "model.layers.1.mlp.down_proj"):
        layer = tuned.get_submodule("base_model.model." + name)
        product = layer.scaling["default"] * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
        tensors[f"{name}.product"], tensors[f"{name}.residual"] = product, layer.base_layer.weight
        assert (product + layer.base_layer.weight - original[name + ".weight"]).abs().max() < 1e-5
    save(ROOT / "pissa-llama" / "expected.safetensors", tensors)
    write(ROOT / "pissa-llama" / "steps.json", dict(base="families/llama", settings=dict(r=4, lora_alpha=8), steps=[]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    rows = {k: v.long() for k, v in load_file(ROOT / "rows.safetensors").items()}
    plus(rows)
    variant("dora-llama", rows, 52, use_dora=True)
    variant("rslora-llama", rows, 53, use_rslora=True)
    quantized("qlora-llama", "lora-llama", rows)
    quantized("qdora-llama", "dora-llama", rows)
    pissa()
