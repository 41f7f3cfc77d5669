"""The gradient of every decoder of Goldens/families, by transformers' autograd.

    OMP_NUM_THREADS=1 python Tests/Oracles/family_gradients.py        (after families.py and remote_families.py)

writes Tests/Goldens/families/<variant>/gradients.json: "loss", the mean cross-entropy of ids.0 from the second id on, and for each
tensor of model.safetensors (by its name there) the Euclidean norm of the gradient and [index, value] at four places of the
flattened tensor, the largest magnitude among them. Router corrections that do not learn are left out.
"""
import json
import sys
import tempfile

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file

import families
import remote_families
from family_configs import LM, VARIANTS


def loss_and_gradients(model, ids):
    """Leaves the gradients in the place of the weights, so that saving them gives the published names."""
    logits = model(input_ids=ids[None], use_cache=False).logits[0]
    loss = torch.nn.functional.cross_entropy(logits[:-1].float(), ids[1:])
    loss.backward()
    return loss.item()


def put_gradients(model):
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.zeros_like(p) if p.grad is None else p.grad)


def summary(gradients):
    out = {}
    for name, g in sorted(gradients.items()):
        flat = g.flatten()
        if "e_score_correction_bias" in name or "inv_freq" in name:
            continue
        places = sorted({int(flat.abs().argmax()), 0, flat.numel() // 3, flat.numel() - 1})
        out[name] = dict(norm=float(flat.double().norm()), at=[[i, float(flat[i])] for i in places])
    return out


def write(name, loss, gradients):
    lines = ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in summary(gradients).items())
    (families.ROOT / name / "gradients.json").write_text(f'{{"loss": {loss}, "gradients": {{\n{lines}\n}}}}\n')
    print(f"{name:24} loss {loss:.5f} {len(gradients)} tensors", flush=True)


def decoder(name):
    directory = families.ROOT / name
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    loss = loss_and_gradients(model, load_file(directory / "expected.safetensors")["ids.0"].long())
    put_gradients(model)
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        gradients = load_file(f"{scratch}/model.safetensors")
    assert set(gradients) == set(load_file(directory / "model.safetensors")), name
    write(name, loss, gradients)


def remote(name):
    """The model is made again from its seed; its gradients go through the same packing as its weights."""
    source, _, mapping, change = remote_families.VARIANTS[name]
    expected = load_file(families.ROOT / name / "expected.safetensors")
    with safe_open(families.ROOT / name / "expected.safetensors", "pt") as file:
        seed = int(file.metadata()["seed"])
    parsed = transformers.AutoConfig.for_model(**source)
    model = transformers.AutoModelForCausalLM.from_config(parsed, attn_implementation="eager").float().eval()
    families.fill(model, seed)
    asked, head = model, None
    if change is remote_families.Alibi:
        asked = change(model)
    elif change:  # the reference divides the rows of the head first: differentiate through it
        head = model.lm_head.weight.detach().clone().requires_grad_()
        model.lm_head.forward = lambda h: h @ torch.nn.functional.normalize(head).T
    logits = asked(input_ids=expected["ids.0"].long()[None]).logits[0]
    assert (logits - expected["logits.0"]).abs().max() < 1e-4, name
    loss = loss_and_gradients(asked, expected["ids.0"].long())
    put_gradients(model)
    gradients = dict(model.state_dict())
    if head is not None:
        gradients["lm_head.weight"] = head.grad
    write(name, loss, mapping(gradients))


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for name in sys.argv[1:] or [n for n, (_, head) in VARIANTS.items() if head == LM] + list(remote_families.VARIANTS):
        (remote if name in remote_families.VARIANTS else decoder)(name)
