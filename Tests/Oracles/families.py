"""Tiny random models of every family, run by transformers: weights, logits and greedy continuations.

    OMP_NUM_THREADS=1 python Tests/Oracles/families.py [variant ...]

writes Tests/Goldens/families/<variant>/{config.json, model.safetensors, expected.safetensors}. The configuration is written
as published checkpoints spell it and transformers reads it back from the file, so the reading of the file is judged too.

expected.safetensors, per input list i in {0, 1}: ids.i [n] i32, logits.i [n, vocab] f32 (for encoders hidden.i
[n, width] and, where the model has one, pooled.i; for classifiers scores.i [labels]); and for decoders greedy [64] i32,
the argmax continuation of ids.0 without regard to the end token, with greedy_gap [64] f32, top-1 less top-2.
"""
import json
import pathlib
import sys
import tempfile
import zlib

import torch
import transformers
from safetensors.torch import load_file, save_file

from family_configs import CLS, ENC, LENGTH_DEPENDENT, LM, MLM, NO_GREEDY, TOK, VARIANTS

ROOT = pathlib.Path(__file__).resolve().parent.parent / "Goldens" / "families"
CLASSES = {
    LM: transformers.AutoModelForCausalLM, ENC: transformers.AutoModel,
    CLS: transformers.AutoModelForSequenceClassification, MLM: transformers.AutoModelForMaskedLM,
    TOK: transformers.AutoModelForTokenClassification,
}
GREEDY = 64


def fill(model, seed):
    """Weights that let every part speak: matrices keep the scale of their input, norms sit around 1, biases are not 0."""
    gen = torch.Generator().manual_seed(seed)
    # Gemma's norms multiply by 1 + w.
    centre = 0.0 if model.config.model_type.startswith("gemma") else 1.0
    # A tied embedding answers with its own input unless the layers outweigh it in the residual stream.
    embedding_scale = 0.6 if not model.config.tie_word_embeddings else 0.12 if centre == 0.0 else 0.25
    tensors = dict(model.named_parameters())
    tensors.update({n: b for n, b in model.named_buffers() if n.endswith("e_score_correction_bias")})
    for name, tensor in sorted(tensors.items()):
        noise = torch.randn(tensor.shape, generator=gen)
        if tensor.dim() == 1 and ("bias" in name):
            value = 0.15 * noise
        elif tensor.dim() == 1 or "norm" in name:
            value = centre + 0.25 * noise
        elif "embed" in name or "wte" in name or "wpe" in name:
            value = embedding_scale * noise
        else:
            fan_in = tensor.shape[0] if model.config.model_type == "gpt2" else tensor.shape[-1]
            value = noise * (1.4 / fan_in**0.5)
        with torch.no_grad():
            tensor.copy_(value)


def inputs(seed):
    gen = torch.Generator().manual_seed(seed + 1000)
    return [torch.randint(5, 96, (1, n), generator=gen) for n in (17, 5)]


def continuation(model, ids):
    out, gaps = [], []
    with torch.no_grad():
        for _ in range(GREEDY):
            top = model(input_ids=ids, use_cache=False).logits[0, -1].float().topk(2)
            out.append(top.indices[0].item())
            gaps.append((top.values[0] - top.values[1]).item())
            ids = torch.cat([ids, top.indices[:1].view(1, 1)], dim=1)
    return out, gaps


def generation(model, ids):
    """What generate() says, with its cache."""
    result = model.generate(
        ids, max_new_tokens=GREEDY, min_new_tokens=GREEDY, do_sample=False, output_logits=True,
        return_dict_in_generate=True, eos_token_id=None, pad_token_id=0)
    tops = [logits[0].float().topk(2).values for logits in result.logits]
    return result.sequences[0, ids.shape[1]:].tolist(), [(top[0] - top[1]).item() for top in tops]


def expectations(model, head, seed, greedy, name):
    """The tensors to keep, and a list of what is wrong with them (near ties, constant answers)."""
    out, faults = {}, []
    for i, ids in enumerate(inputs(seed)):
        out[f"ids.{i}"] = ids[0].to(torch.int32)
        with torch.no_grad():
            result = model(input_ids=ids)
        if head == CLS:
            out[f"scores.{i}"] = result.logits[0].float().contiguous()
            if name.endswith("-reranker"):
                types = (torch.arange(ids.shape[1]) >= ids.shape[1] // 2).long()[None]
                out[f"types.{i}"] = types[0].to(torch.int32)
                with torch.no_grad():
                    pair = model(input_ids=ids, token_type_ids=types)
                out[f"pair_scores.{i}"] = pair.logits[0].float().contiguous()
        elif head == TOK:
            out[f"names.{i}"] = result.logits[0].float().contiguous()
        elif head == ENC:
            out[f"hidden.{i}"] = result.last_hidden_state[0].float().contiguous()
            if getattr(result, "pooler_output", None) is not None:
                out[f"pooled.{i}"] = result.pooler_output[0].float().contiguous()
        else:
            logits = result.logits[0].float().contiguous()
            out[f"logits.{i}"] = logits
            if logits.argmax(-1).unique().numel() < min(3, len(logits)):
                faults.append("top-1 is constant")
            if logits.std() < 0.3:
                faults.append(f"flat logits {logits.std():.3f}")
    if any(not torch.isfinite(t).all() for t in out.values() if t.is_floating_point()):
        faults.append("not finite")
    if head == LM and greedy:
        answer = generation if name in LENGTH_DEPENDENT else continuation
        ids, gaps = answer(model, inputs(seed)[0])
        out["greedy"] = torch.tensor(ids, dtype=torch.int32)
        if name in LENGTH_DEPENDENT:
            other, more = answer(model, inputs(seed)[1])
            out["greedy.1"] = torch.tensor(other, dtype=torch.int32)
            gaps += more
        out["greedy_gap"] = torch.tensor(gaps)
        if min(gaps) < 4e-3:
            faults.append(f"near tie {min(gaps):.1e}")
        if len(set(ids)) < 8:
            faults.append(f"only {len(set(ids))} tokens")
    return out, faults


def build(name, config, head, directory):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    cls = CLASSES[head]
    parsed = transformers.AutoConfig.from_pretrained(directory)
    first = zlib.crc32(name.encode()) % 10000
    for seed in range(first, first + 60):
        torch.manual_seed(seed)
        model = cls.from_config(parsed, attn_implementation="eager").float().eval()
        fill(model, seed)
        expected, faults = expectations(model, head, seed, name not in NO_GREEDY, name)
        if not faults:
            break
    else:
        raise RuntimeError(f"no seed gives a usable model: {faults}")
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        weights = load_file(pathlib.Path(scratch) / "model.safetensors")
    weights = {k: v.clone().contiguous() for k, v in weights.items()}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    save_file(expected, directory / "expected.safetensors", metadata={"seed": str(seed)})
    check(cls, head, directory, expected)
    report(name, seed, weights, expected, directory)


def check(cls, head, directory, expected):
    """The directory as written must give the same answer when transformers opens it afresh."""
    model, info = cls.from_pretrained(directory, attn_implementation="eager", dtype=torch.float32, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    with torch.no_grad():
        result = model.eval()(input_ids=expected["ids.0"][None].long())
    got = result.last_hidden_state if head == ENC else result.logits
    want = expected[{ENC: "hidden.0", CLS: "scores.0", TOK: "names.0"}.get(head, "logits.0")]
    assert (got[0] - want).abs().max() < 1e-5, (got[0] - want).abs().max()


def report(name, seed, weights, expected, directory):
    main = next(expected[k] for k in ("logits.0", "hidden.0", "scores.0", "names.0") if k in expected)
    size = sum(f.stat().st_size for f in directory.iterdir()) / 1024
    line = f"{name:24} seed {seed:5} {size:6.1f} KiB {len(weights):3} tensors std {main.std(correction=0):.2f}"
    if "greedy" in expected:
        line += f" gap {expected['greedy_gap'].min():.3f} distinct {expected['greedy'].unique().numel()}"
    print(line, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    failed = []
    for name in sys.argv[1:] or VARIANTS:
        try:
            build(name, *VARIANTS[name], ROOT / name)
        except Exception as error:  # one family's trouble must not hide the others
            failed.append(name)
            print(f"{name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
    if failed:
        raise SystemExit(f"failed: {' '.join(failed)}")
