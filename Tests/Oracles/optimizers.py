"""Five steps of every optimizer on fixed gradients, and the learning-rate schedules.

    OMP_NUM_THREADS=1 python Tests/Oracles/optimizers.py

writes Tests/Goldens/optimizers/trajectories.safetensors: start.<shape> and gradients grad.<shape>.<step> for the matrix
[12, 20], the tall matrix [20, 12] and the vector [16]; <case>.<shape>.<step> the value after each step; cases.json, the
settings of each case and who computed it; and schedules.json, the multiplier of the learning rate before each step.
All f32. "torch" and "transformers" are those libraries' classes; "formula" is written here from the paper.
"""
import json
import math
import pathlib

import torch
import transformers
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parent.parent / "Goldens" / "optimizers"
SHAPES = {"wide": (12, 20), "tall": (20, 12), "vector": (16,)}
STEPS = 5


class Lion(torch.optim.Optimizer):
    """arXiv 2302.06675, algorithm 2: sign of an interpolation, decay decoupled and times the rate."""

    def __init__(self, params, lr, betas, weight_decay):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                update = (b1 * m + (1 - b1) * p.grad).sign()
                p.sub_(group["lr"] * (update + group["weight_decay"] * p))
                m.mul_(b2).add_(p.grad, alpha=1 - b2)


class MuonF32(torch.optim.Optimizer):
    """Muon as torch.optim.Muon states it, with the Newton-Schulz iteration in f32 in place of bf16."""

    def __init__(self, params, lr, momentum, weight_decay, nesterov, adjust):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, adjust=adjust))

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            for p in g["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - g["momentum"])
                x = p.grad.lerp(m, g["momentum"]) if g["nesterov"] else m.clone()
                tall = x.shape[0] > x.shape[1]
                x = x.T if tall else x
                x = x / x.norm().clamp(min=1e-7)
                for _ in range(5):
                    gram = x @ x.T
                    x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
                rows, columns = p.shape
                scale = 0.2 * math.sqrt(max(rows, columns)) if g["adjust"] == "match_rms_adamw" else math.sqrt(
                    max(1, rows / columns))
                p.mul_(1 - g["lr"] * g["weight_decay"]).sub_(g["lr"] * scale * (x.T if tall else x))


ADAMW = dict(lr=1e-2, betas=[0.9, 0.95], eps=1e-8, weight_decay=0.1)
MUON = dict(lr=2e-2, momentum=0.95, weight_decay=0.1, nesterov=True)
MATRICES = ["wide", "tall"]
# name -> (who, settings, maker, shapes)
CASES = {
    "adamw": ("torch", ADAMW, lambda p, o: torch.optim.AdamW(p, **o), SHAPES),
    "adamw-plain": ("torch", dict(ADAMW, weight_decay=0.0, betas=[0.9, 0.999]), lambda p, o: torch.optim.AdamW(p, **o), SHAPES),
    "adamw-amsgrad": ("torch", dict(ADAMW, amsgrad=True), lambda p, o: torch.optim.AdamW(p, **o), SHAPES),
    "adam": ("torch", dict(ADAMW), lambda p, o: torch.optim.Adam(p, **o), SHAPES),
    "sgd": ("torch", dict(lr=1e-1), lambda p, o: torch.optim.SGD(p, **o), SHAPES),
    "sgd-momentum": ("torch", dict(lr=1e-1, momentum=0.9, weight_decay=0.01), lambda p, o: torch.optim.SGD(p, **o), SHAPES),
    "sgd-nesterov": ("torch", dict(lr=1e-1, momentum=0.9, nesterov=True), lambda p, o: torch.optim.SGD(p, **o), SHAPES),
    "lion": ("formula", dict(lr=1e-3, betas=[0.9, 0.99], weight_decay=0.1), lambda p, o: Lion(p, **o), SHAPES),
    "adafactor": ("transformers", dict(lr=1e-2, scale_parameter=False, relative_step=False, warmup_init=False),
                  lambda p, o: transformers.optimization.Adafactor(p, **o), SHAPES),
    "adafactor-scaled": ("transformers", dict(lr=1e-2, scale_parameter=True, relative_step=False, warmup_init=False,
                                              weight_decay=0.1, beta1=0.9),
                         lambda p, o: transformers.optimization.Adafactor(p, **o), SHAPES),
    "adafactor-relative": ("transformers", dict(lr=None, scale_parameter=True, relative_step=True, warmup_init=True),
                           lambda p, o: transformers.optimization.Adafactor(p, **o), SHAPES),
    "adafactor-torch": ("torch", dict(lr=1e-2, weight_decay=0.1), lambda p, o: torch.optim.Adafactor(p, **o), SHAPES),
    "adagrad": ("torch", dict(lr=1e-1), lambda p, o: torch.optim.Adagrad(p, **o), SHAPES),
    "rmsprop": ("torch", dict(lr=1e-2), lambda p, o: torch.optim.RMSprop(p, **o), SHAPES),
    "muon-torch-bf16": ("torch", MUON, lambda p, o: torch.optim.Muon(p, **o), MATRICES),
    "muon": ("formula", dict(MUON, adjust="original"), lambda p, o: MuonF32(p, **o), MATRICES),
    "muon-match-rms": ("formula", dict(MUON, adjust="match_rms_adamw"), lambda p, o: MuonF32(p, **o), MATRICES),
    "muon-no-nesterov": ("formula", dict(MUON, nesterov=False, adjust="original"), lambda p, o: MuonF32(p, **o), MATRICES),
}


def trajectories():
    gen = torch.Generator().manual_seed(20)
    tensors = {}
    for shape, size in SHAPES.items():
        tensors[f"start.{shape}"] = torch.randn(size, generator=gen)
        for step in range(STEPS):
            # magnitudes over five decades, as adaptive methods must bear
            scale = 10 ** (torch.rand(size, generator=gen) * 5 - 4)
            tensors[f"grad.{shape}.{step}"] = torch.randn(size, generator=gen) * scale
    described = {}
    for name, (who, options, maker, shapes) in CASES.items():
        described[name] = dict(by=who, settings=options, shapes=list(shapes))
        for shape in shapes:
            p = torch.nn.Parameter(tensors[f"start.{shape}"].clone())
            optimizer = maker([p], {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})
            for step in range(STEPS):
                p.grad = tensors[f"grad.{shape}.{step}"].clone()
                optimizer.step()
                tensors[f"{name}.{shape}.{step}"] = p.detach().clone()
                assert torch.isfinite(p).all()
    for shape in MATRICES:  # bf16 iteration against the f32 one: the same method
        distance = (tensors[f"muon.{shape}.4"] - tensors[f"muon-torch-bf16.{shape}.4"]).norm()
        assert distance < 0.05 * (tensors[f"muon.{shape}.4"] - tensors[f"start.{shape}"]).norm(), distance
    save_file({k: v.contiguous() for k, v in tensors.items()}, OUT / "trajectories.safetensors")
    (OUT / "cases.json").write_text(json.dumps(described, indent=1) + "\n")


SCHEDULES = {
    "constant": {}, "constant_with_warmup": {}, "linear": {}, "cosine": {}, "cosine_with_restarts": dict(num_cycles=2),
    "polynomial": dict(lr_end=1e-5, power=2.0), "inverse_sqrt": {}, "cosine_with_min_lr": dict(min_lr_rate=0.1),
    "warmup_stable_decay": dict(num_decay_steps=20, min_lr_ratio=0.05), "cosine_warmup_with_min_lr": dict(min_lr_rate=0.1),
}


def schedules(total=60, base=1e-3):
    out = {}
    for name, options in SCHEDULES.items():
        for warmup in (0, 6):
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
            schedule = transformers.get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total,
                                                  scheduler_specific_kwargs=dict(options))
            rates = []
            for _ in range(total):
                rates.append(optimizer.param_groups[0]["lr"])
                optimizer.step()
                schedule.step()
            out[f"{name}/{warmup}"] = dict(name=name, warmup_steps=warmup, total_steps=total, base=base, kwargs=options,
                                           learning_rate=rates)
    (OUT / "schedules.json").write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    trajectories()
    schedules()
    print("\n".join(f"{p.name} {p.stat().st_size}" for p in sorted(OUT.iterdir())))
