"""Fine-tuning of the tiny models of Goldens/families by transformers and peft, step by step.

    OMP_NUM_THREADS=1 python Tests/Oracles/training.py        (after families.py)

writes under Tests/Goldens/training:
- rows.safetensors: ids and labels [80, 24] i32 (padding id 0, label -100), length [80]. Step s takes rows 4s..4s+3 as two
  micro-batches of two rows. Labels are the row's own ids, -100 on its prompt; the shift by one is the trainer's.
- pairs.safetensors: chosen.* and rejected.* of the same form, [80, 24]; step s of DPO takes pairs 4s..4s+3 the same way.
- lora-<base>, full-<base>, dpo-<base>: see `lora`, `full` and `dpo` below; steps.json in each has settings and figures.
- adapter-<variant>: a PEFT directory for the llama base with its logits and the gradients of one micro-batch.

Loss of a step: cross-entropy summed over labels other than -100 divided by their number in the whole step (both
micro-batches), as transformers' Trainer does with num_items_in_batch. grad_norm is before clipping.
"""
import contextlib
import io
import json
import pathlib
import shutil
import tempfile

import torch
import torch.nn.functional as F
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

GOLDENS = pathlib.Path(__file__).resolve().parent.parent / "Goldens"
ROOT = GOLDENS / "training"
OPTIMIZER = dict(lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
MAX_NORM, WIDTH, VOCAB = 1.0, 24, 96
BASES = ["llama", "qwen2"]


def make_rows(count, seed, prompt=None):
    """Rows of 8 to 24 ids whose answers repeat a pattern of their prompt, so that there is something to learn."""
    gen = torch.Generator().manual_seed(seed)
    ids = torch.zeros(count, WIDTH, dtype=torch.int64)
    labels = torch.full((count, WIDTH), -100)
    length = torch.randint(8, WIDTH + 1, (count,), generator=gen)
    for row in range(count):
        n = int(length[row])
        cut = int(torch.randint(2, n - 3, (1,), generator=gen))
        text = torch.randint(5, VOCAB, (n,), generator=gen)
        if prompt is not None:  # a second answer to the same prompt
            cut = min(int((prompt["labels"][row] == -100).int().argmin()), n - 3)
            text[:cut] = prompt["ids"][row, :cut]
        text[cut + 2:] = (text[cut:n - 2] * 3 + 7) % (VOCAB - 5) + 5
        ids[row, :n] = text
        labels[row, cut:n] = text[cut:]
    return dict(ids=ids, labels=labels, length=length)


def save(path, tensors):
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {}
    for name, value in tensors.items():
        value = value.detach().clone().contiguous()
        kept[name] = value.to(torch.int32) if value.dtype == torch.int64 else value
    save_file(kept, path, metadata={"format": "pt"})


def write(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")


def base_model(name):
    return transformers.AutoModelForCausalLM.from_pretrained(
        GOLDENS / "families" / name, attn_implementation="eager", dtype=torch.float32)


def mask_of(length):
    return (torch.arange(WIDTH)[None, :] < length[:, None]).long()


def run_model(model, rows, at, **labels):
    return model(input_ids=rows["ids"][at], attention_mask=mask_of(rows["length"][at]), use_cache=False, **labels)


def micro_batches(step):
    return [slice(4 * step, 4 * step + 2), slice(4 * step + 2, 4 * step + 4)]


def sft_backward(model, rows, step):
    """Accumulates the gradient of one step; returns its loss and the number of trained tokens."""
    count = sum(int((rows["labels"][at][:, 1:] != -100).sum()) for at in micro_batches(step))
    loss = 0.0
    for at in micro_batches(step):
        part = run_model(model, rows, at, labels=rows["labels"][at], num_items_in_batch=torch.tensor(count)).loss
        part.backward()
        loss += part.item()
    return dict(loss=loss, tokens=count)


def decay_groups(model):
    """transformers' own rule: no decay for biases and norms."""
    names = transformers.Trainer.get_decay_parameter_names(None, model)
    decayed = [p for n, p in model.named_parameters() if p.requires_grad and n in names]
    plain = [p for n, p in model.named_parameters() if p.requires_grad and n not in names]
    groups = [dict(params=decayed), dict(params=plain, weight_decay=0.0)]
    return [g for g in groups if g["params"]], sorted(n for n, p in model.named_parameters() if n not in names)


def loop(model, backward, steps):
    """AdamW with clipping; returns the figures of every step and the gradients of the first."""
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    groups, _ = decay_groups(model)
    optimizer = torch.optim.AdamW(groups, **OPTIMIZER)
    figures, first = [], None
    for step in range(steps):
        optimizer.zero_grad()
        record = backward(step)
        if first is None:
            first = {n: p.grad.clone() for n, p in trained}
        record["grad_norm"] = torch.nn.utils.clip_grad_norm_([p for _, p in trained], MAX_NORM).item()
        optimizer.step()
        figures.append(record)
    return figures, first


def adapter(model, seed, **options):
    """A LoRA of rank 4 whose B is not zero, so that the gradients of A are not either."""
    config = LoraConfig(**{**dict(r=4, lora_alpha=8, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM",
                                  bias="none"), **options})
    tuned = get_peft_model(model, config)
    gen = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(tuned.named_parameters()):
            if "lora_A" in name or "lora_B" in name:
                p.copy_(torch.randn(p.shape, generator=gen) * (0.3 if "lora_A" in name else 0.1))
            elif "magnitude" in name or "modules_to_save" in name:
                p.mul_(1 + 0.1 * torch.randn(p.shape, generator=gen))
    return tuned


def save_adapter(tuned, directory):
    tuned.save_pretrained(directory, save_embedding_layers=False)
    (directory / "README.md").unlink(missing_ok=True)
    config = json.loads((directory / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = ""
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    write(directory / "adapter_config.json", config)


def published(name):
    """peft's name in memory -> its name in the file."""
    name = name.replace(".default", "").replace("modules_to_save.", "")
    return name.removesuffix(".weight") if "magnitude" in name else name


def settings(steps, **more):
    return dict(optimizer="AdamW", **{k: list(v) if isinstance(v, tuple) else v for k, v in OPTIMIZER.items()},
                max_grad_norm=MAX_NORM, steps=steps, rows_per_micro_batch=2, accumulation=2, **more)


def lora(name, rows):
    """adapter_init and adapter_final (PEFT directories); gradients of step 0 by file name; logits of ids.0 before."""
    out = ROOT / f"lora-{name}"
    tuned = adapter(base_model(name), seed=11)
    save_adapter(tuned, out / "adapter_init")
    logits = probe(tuned, name)
    figures, first = loop(tuned, lambda step: sft_backward(tuned, rows, step), 20)
    save_adapter(tuned, out / "adapter_final")
    save(out / "expected.safetensors", {
        "logits_init": logits, "logits_final": probe(tuned, name),
        **{f"grad.{published(n)}": g for n, g in first.items()}})
    write(out / "steps.json", dict(base=f"families/{name}", settings=settings(20), steps=figures))
    check_trainer(name, rows, figures)
    merged = PeftModel.from_pretrained(base_model(name), out / "adapter_final").merge_and_unload()
    assert (probe(merged, name) - probe(tuned, name)).abs().max() < 1e-4
    print(out.name, [round(f["loss"], 4) for f in figures[::5]], [round(f["grad_norm"], 3) for f in figures[::5]])


def check_trainer(name, rows, figures):
    """transformers' Trainer, given the same rows in order, must report the same losses and norms."""
    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return len(rows["ids"])

        def __getitem__(self, i):
            return dict(input_ids=rows["ids"][i], labels=rows["labels"][i], attention_mask=mask_of(rows["length"][i:i + 1])[0])

    class Ordered(transformers.Trainer):
        def _get_train_sampler(self, *_, **__):
            return torch.utils.data.SequentialSampler(Rows())

    with tempfile.TemporaryDirectory() as scratch:
        arguments = transformers.TrainingArguments(
            scratch, per_device_train_batch_size=2, gradient_accumulation_steps=2, max_steps=len(figures),
            learning_rate=OPTIMIZER["lr"], adam_beta1=0.9, adam_beta2=0.95, adam_epsilon=1e-8, weight_decay=0.1,
            max_grad_norm=MAX_NORM, lr_scheduler_type="constant", logging_steps=1, use_cpu=True, report_to=[],
            save_strategy="no", disable_tqdm=True, optim="adamw_torch")
        trainer = Ordered(adapter(base_model(name), seed=11), arguments, train_dataset=Rows())
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.train()
    for mine, its in zip(figures, [log for log in trainer.state.log_history if "grad_norm" in log], strict=True):
        assert abs(mine["loss"] - float(its["loss"])) < 2e-4, (mine, its)
        assert abs(mine["grad_norm"] - float(its["grad_norm"])) < 2e-3, (mine, its)


def full(name, rows):
    """Every weight trained: gradients of step 0 and the weights after twenty steps."""
    out = ROOT / f"full-{name}"
    model = base_model(name)
    _, plain = decay_groups(model)
    figures, first = loop(model, lambda step: sft_backward(model, rows, step), 20)
    save(out / "expected.safetensors", {
        **{f"grad.{n}": g for n, g in first.items()}, **{f"final.{n}": p for n, p in model.named_parameters()}})
    write(out / "steps.json", dict(base=f"families/{name}", settings=settings(20, no_weight_decay=plain), steps=figures))
    print(out.name, [round(f["loss"], 4) for f in figures], [round(f["grad_norm"], 3) for f in figures])


def answer_logps(model, rows, at):
    logits = run_model(model, rows, at).logits[:, :-1].log_softmax(-1)
    labels = rows["labels"][at][:, 1:]
    picked = logits.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return (picked * (labels != -100)).sum(-1)


def dpo(name, chosen, rejected, beta=0.1, reference=None):
    """Sigmoid DPO; loss is the mean over the pairs of the step. The reference is the adapter switched off; or, with all weights
    trained, another model, which may be the same one as it was before."""
    out = ROOT / (f"dpo-{name}" if reference is None else f"dpo-full-{name}-{reference}")
    if reference is None:
        tuned = adapter(base_model(name), seed=12)
        save_adapter(tuned, out / "adapter_init")
    else:
        tuned, other = base_model(name), base_model(reference)

    def backward(step):
        record = dict(loss=0.0, margin=0.0, accuracy=0.0)
        for at in micro_batches(step):
            with torch.no_grad(), tuned.disable_adapter() if reference is None else contextlib.nullcontext():
                judge = tuned if reference is None else other
                ref = [answer_logps(judge, rows, at) for rows in (chosen, rejected)]
            mine = [answer_logps(tuned, rows, at) for rows in (chosen, rejected)]
            margin = beta * ((mine[0] - ref[0]) - (mine[1] - ref[1]))
            part = -F.logsigmoid(margin).sum() / 4
            part.backward()
            record["loss"] += part.item()
            record["margin"] += margin.sum().item() / 4
            record["accuracy"] += (margin > 0).sum().item() / 4
        return record

    figures, first = loop(tuned, backward, 20)
    if reference is None:
        save_adapter(tuned, out / "adapter_final")
        save(out / "expected.safetensors", {f"grad.{published(n)}": g for n, g in first.items()})
    out.mkdir(exist_ok=True)
    write(out / "steps.json", dict(base=f"families/{name}", settings=settings(20, beta=beta, loss_type="sigmoid"), steps=figures))
    print(out.name, [round(f["loss"], 4) for f in figures], [round(f["grad_norm"], 3) for f in figures])


def probe(model, name):
    ids = load_file(GOLDENS / "families" / name / "expected.safetensors")["ids.0"].long()[None]
    with torch.no_grad():
        return model(input_ids=ids).logits[0]


def variants(rows):
    """What an adapter directory can say beyond rank and alpha, each with logits and one step's gradients."""
    cases = {
        "rslora": dict(use_rslora=True), "dora": dict(use_dora=True),
        "patterns": dict(rank_pattern={"q_proj": 2, "layers.1.mlp.down_proj": 6}, alpha_pattern={"v_proj": 16}),
        "regex": dict(target_modules=r".*layers\.1\..*(q_proj|down_proj)"),
        "layers": dict(target_modules=["k_proj", "up_proj"], layers_to_transform=[1]),
        "saved-head": dict(target_modules=["q_proj", "v_proj"], modules_to_save=["lm_head"]),
        "embedding": dict(target_modules=["embed_tokens", "o_proj"]),
    }
    for seed, (name, options) in enumerate(cases.items(), 30):
        out = ROOT / f"adapter-{name}"
        tuned = adapter(base_model("llama"), seed, **options)
        with torch.no_grad():  # peft starts the embedding's factors elsewhere
            for n, p in sorted(tuned.named_parameters()):
                if "lora_embedding" in n:
                    p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(seed)) * 0.2)
        save_adapter(tuned, out)
        record = sft_backward(tuned, rows, 0)
        grads = {f"grad.{published(n)}": p.grad for n, p in tuned.named_parameters() if p.grad is not None}
        again = PeftModel.from_pretrained(base_model("llama"), out)
        assert (probe(again, "llama") - probe(tuned, "llama")).abs().max() < 1e-5, name
        save(out / "expected.safetensors", {"logits": probe(tuned, "llama"), **grads})
        write(out / "steps.json", dict(base="families/llama", steps=[record]))
        print(out.name, record)


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    shutil.rmtree(ROOT, ignore_errors=True)
    rows = make_rows(80, 5)
    save(ROOT / "rows.safetensors", rows)
    chosen = make_rows(80, 6)
    rejected = make_rows(80, 7, prompt=chosen)
    save(ROOT / "pairs.safetensors", {f"{side}.{k}": v for side, r in [("chosen", chosen), ("rejected", rejected)]
                                      for k, v in r.items()})
    for base in BASES:
        lora(base, rows)
        dpo(base, chosen, rejected)
        dpo(base, chosen, rejected, reference=base)
    dpo("llama", chosen, rejected, reference="qwen2")
    full("llama-tied", rows)
    full("qwen2", rows)
    variants(rows)
