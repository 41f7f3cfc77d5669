"""Steps of AdamW and Lion with states of one byte, in f64, over the values of bitsandbytes.

    OMP_NUM_THREADS=1 python Tests/Oracles/optimizer_states.py

writes Tests/Goldens/optimizers/bytes.safetensors: "values.signed" and "values.unsigned" [256], bitsandbytes' own; start [65, 64] (the
last block of 256 is short) and grad.<step>; for adamw_8bit and lion_8bit the parameter after three steps with codes and scales of each
state, and "<name>.bitsandbytes", where bitsandbytes' own steps end.

Codes are the nearest values. bitsandbytes' processor kernels round to coarser places (7.66e-4 to 8.31e-4 though 7.19e-4 is there),
so its codes are no reference and its parameters one to a few per cent of the way. 1e-7 stands for 0 among the unsigned values:
a second moment that rounds to nothing would divide by nothing.
"""
import pathlib

import bitsandbytes as bnb
import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parent.parent / "Goldens" / "optimizers" / "bytes.safetensors"
SHAPE, STEPS, BLOCK = (65, 64), 3, 256
OPTIMIZERS = {
    "adamw_8bit": lambda p: bnb.optim.AdamW8bit(p, lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1),
    "lion_8bit": lambda p: bnb.optim.Lion8bit(p, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1),
}


class State:
    def __init__(self, values, count):
        self.values, self.decoded = values.double(), torch.zeros(count, dtype=torch.float64)

    def set(self, x):
        blocks = x.split(BLOCK)
        self.scales = torch.stack([block.abs().max() for block in blocks])
        self.codes = torch.cat([
            (block[:, None] / scale - self.values).abs().argmin(1) for block, scale in zip(blocks, self.scales)])
        self.decoded = self.values[self.codes] * self.scales.repeat_interleave(BLOCK)[:len(x)]


def adamw(p, gradients, signed, unsigned):
    m, v = State(signed, p.numel()), State(unsigned, p.numel())
    for step, g in enumerate(gradients, 1):
        first, second = 0.9 * m.decoded + 0.1 * g, 0.95 * v.decoded + 0.05 * g * g
        direction = first / (1 - 0.9**step) / ((second / (1 - 0.95**step)).sqrt() + 1e-8)
        p = p * (1 - 1e-2 * 0.1) - 1e-2 * direction
        m.set(first)
        v.set(second)
    return p, [m, v]


def lion(p, gradients, signed, unsigned):
    m = State(signed, p.numel())
    for g in gradients:
        p = p * (1 - 1e-3 * 0.1) - 1e-3 * (0.9 * m.decoded + 0.1 * g).sign()
        m.set(0.99 * m.decoded + 0.01 * g)
    return p, [m]


if __name__ == "__main__":
    torch.set_num_threads(1)
    gen = torch.Generator().manual_seed(21)
    tensors = {
        "values.signed": bnb.functional.create_dynamic_map(signed=True),
        "values.unsigned": bnb.functional.create_dynamic_map(signed=False),
        "start": torch.randn(SHAPE, generator=gen),
    }
    unsigned = torch.where(tensors["values.unsigned"] == 0, 1e-7, tensors["values.unsigned"])
    for step in range(STEPS):
        tensors[f"grad.{step}"] = torch.randn(SHAPE, generator=gen) * 10 ** (torch.rand(SHAPE, generator=gen) * 3 - 3)
    gradients = [tensors[f"grad.{step}"].double().flatten() for step in range(STEPS)]
    for name, make in OPTIMIZERS.items():
        end, states = (adamw if name == "adamw_8bit" else lion)(
            tensors["start"].double().flatten(), gradients, tensors["values.signed"], unsigned)
        tensors[f"{name}.final"] = end.float().reshape(SHAPE)
        for number, state in enumerate(states, 1):
            tensors[f"{name}.codes{number}"] = state.codes.to(torch.uint8).reshape(SHAPE)
            tensors[f"{name}.scales{number}"] = state.scales.float()
        p = torch.nn.Parameter(tensors["start"].clone())
        optimizer = make([p])
        for step in range(STEPS):
            p.grad = tensors[f"grad.{step}"].clone()
            optimizer.step()
        tensors[f"{name}.bitsandbytes"] = p.detach().clone()
        apart = (p.detach() - tensors[f"{name}.final"]).abs().flatten()
        way = (tensors[f"{name}.final"] - tensors["start"]).abs().max()
        print(name, "way", float(way), "apart: median", float(apart.median()), "95 %", float(apart.quantile(0.95)))
    save_file({k: v.contiguous() for k, v in tensors.items()}, OUT)
    print(OUT.stat().st_size)
