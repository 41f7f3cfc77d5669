"""Weights quantized by bitsandbytes, with the scales before and after double quantization.

    OMP_NUM_THREADS=1 python Tests/Oracles/bitsandbytes_codes.py

writes Tests/Goldens/quantized/bitsandbytes.safetensors: "<case>/source" f32 [rows, columns], and for nf4 and fp4
"<case>/<type>/codes" u8, "<case>/<type>/absmax" f32 and "<case>/<type>/absmax2" f32, what double quantization leaves of them.
"""
import pathlib

import bitsandbytes.functional as bnb
import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parent.parent / "Goldens" / "quantized" / "bitsandbytes.safetensors"
gen = torch.Generator().manual_seed(7)
tensors = {}
for case, (rows, columns) in {"whole": (48, 128), "crossing": (32, 48), "short": (3, 10)}.items():
    source = torch.randn(rows, columns, generator=gen) * torch.rand(rows, 1, generator=gen)
    if case == "whole":
        source[1] = 0
        source[2, :16] = source[2].abs().max() * bnb.get_4bit_type("nf4", device="cpu")
    tensors[f"{case}/source"] = source
    for kind in ("nf4", "fp4"):
        codes, state = bnb.quantize_4bit(source, blocksize=64, quant_type=kind, compress_statistics=False)
        tensors[f"{case}/{kind}/codes"] = codes.reshape(-1)
        tensors[f"{case}/{kind}/absmax"] = state.absmax
        _, double = bnb.quantize_4bit(source, blocksize=64, quant_type=kind, compress_statistics=True)
        tensors[f"{case}/{kind}/absmax2"] = bnb.dequantize_blockwise(double.absmax, double.state2) + double.offset
save_file({k: v.contiguous() for k, v in tensors.items()}, OUT)
