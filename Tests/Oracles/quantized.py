"""Quantized storage decoded by its reference libraries.

    OMP_NUM_THREADS=1 python Tests/Oracles/quantized.py

writes under Tests/Goldens/quantized:
- types.gguf: one tensor of every block type, [2, 512], and metadata of every kind; gguf.safetensors: "source" (the f32 rows that
  were quantized), "<type>/bytes" u8 as in the file and "<type>/values" f32 as gguf's NumPy decoder reads them; errors.json:
  the root mean square error of the reference quantizer (ggml's, through libgguf; through gguf for the types it lacks).
- bits.safetensors: f32 numbers and their f16 and bf16 (ties, subnormal, infinite) as torch rounds; every fp8 code's value.
- layouts.safetensors: small linear layers as GPTQ, AWQ, bitsandbytes, fp8 blocks and mxfp4 store them, "<case>/<tensor>" under the
  published tensor names, and "<case>/values" [out, in], the weight that they mean; layouts.json has each quantization_config.
"""
import json
import pathlib

import bitsandbytes.functional as bnb
import gguf
import libgguf
import numpy as np
import torch
from safetensors.torch import save_file
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

OUT = pathlib.Path(__file__).resolve().parent.parent / "Goldens" / "quantized"
RNG = np.random.default_rng(41)
TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "IQ3_XXS", "IQ3_S",
         "IQ2_S", "IQ2_XXS", "IQ2_XS", "IQ1_S", "IQ1_M", "TQ1_0", "TQ2_0", "MXFP4", "BF16", "F16", "F32"]


def block_types():
    rows = RNG.standard_normal((2, 512)).astype(np.float32)
    rows[0, 256:] *= 0.02   # blocks of different scales
    rows[1, :32] = 0        # a block of zeros
    rows[1, 32:64] = np.abs(rows[1, 32:64]) + 1  # a block without zero in its range
    rows[1, 300] = 40       # an outlier
    tensors, errors = {"source": torch.from_numpy(rows.copy())}, {}
    writer = gguf.GGUFWriter(OUT / "types.gguf", "llama")
    metadata(writer)
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        if name in ("F32", "F16"):
            data = rows.astype(np.float32 if name == "F32" else np.float16)
            values = data.astype(np.float32)
        else:
            try:
                weights = np.ones(512, np.float32) if libgguf.quantize_requires_imatrix(int(kind)) else None
                data = np.asarray(libgguf.quantize_rows(rows, int(kind), weights)).view(np.uint8).reshape(2, -1)
                by = "ggml"
            except Exception:  # the types that the binding does not carry
                data, by = gguf.quantize(rows, kind), "gguf"
            values = gguf.dequantize(data, kind)
            judges = ["gguf"]
            try:
                again = np.asarray(libgguf.dequantize_rows(data, int(kind), 512)).reshape(2, 512)
                assert np.abs(again - values).max() < 1e-6, name
                judges.append("ggml")
            except ValueError:  # not decoded by the binding
                pass
            errors[name] = dict(quantized_by=by, decoded_by=judges, rmse=float(np.sqrt(((values - rows) ** 2).mean())))
        raw = np.ascontiguousarray(data).view(np.uint8).reshape(-1)
        tensors[f"{name}/bytes"] = torch.from_numpy(raw.copy())
        tensors[f"{name}/values"] = torch.from_numpy(values.astype(np.float32).reshape(2, 512).copy())
        writer.add_tensor(f"tensor.{name}", np.ascontiguousarray(data), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(tensors, OUT / "gguf.safetensors")
    (OUT / "errors.json").write_text(json.dumps(errors, indent=1) + "\n")
    print({k: round(v["rmse"], 5) for k, v in errors.items()})


def metadata(writer):
    """One field of every kind, and arrays; all values are told again in a field of their own (JSON text)."""
    told = {"test.u8": 200, "test.i8": -100, "test.u16": 60000, "test.i16": -30000, "test.u32": 4000000000, "test.i32": -2000000000,
            "test.u64": 1 << 63, "test.i64": -(1 << 62), "test.f32": 0.15625, "test.f64": 3.141592653589793, "test.bool": True,
            "test.string": "žluťoučký 🐦 kůň", "test.empty": "", "test.strings": ["a", "", "é"], "test.ints": [1, -2, 3],
            "test.floats": [0.5, -0.25]}
    adders = {"u8": "uint8", "i8": "int8", "u16": "uint16", "i16": "int16", "u32": "uint32", "i32": "int32", "u64": "uint64",
              "i64": "int64", "f32": "float32", "f64": "float64", "bool": "bool"}
    for name, value in told.items():
        kind = adders.get(name.split(".")[1], "array" if isinstance(value, list) else "string")
        getattr(writer, f"add_{kind}")(name, value)
    writer.add_string("test.told", json.dumps(told, ensure_ascii=False))


def bits():
    values = np.concatenate([
        RNG.standard_normal(200), np.exp2(RNG.uniform(-30, 20, 200)) * RNG.choice([-1, 1], 200),
        [0.0, -0.0, 65504.0, 65519.9, 65520.0, 1e38, -1e38, np.inf, -np.inf, 6.0e-8, 2.98e-8, 2.9802322e-8, 5.96e-8, 1e-45,
         1.0009765625, 1.00048828125, 1.00146484375, 1.00390625, 1.001953125, 1.005859375, 3.3895314e38, 3.3961776e38],
    ]).astype(np.float32)
    source = torch.from_numpy(values)
    codes = torch.arange(256, dtype=torch.int16).to(torch.uint8)
    tensors = dict(source=source, f16=source.half(), bf16=source.bfloat16())
    for name, kind in {"f8_e4m3fn": torch.float8_e4m3fn, "f8_e5m2": torch.float8_e5m2}.items():
        tensors[f"{name}/values"] = codes.view(kind).float()  # value of code i at place i; some are NaN or infinite
        finite = source.clamp(-400, 400)
        tensors[f"{name}/rounded"] = finite.to(kind).view(torch.uint8)
    save_file(tensors, OUT / "bits.safetensors")


def packed(codes, per_word):
    """int32 words whose lowest bits hold the first code; codes [rows, words * per_word]."""
    width = 32 // per_word
    parts = codes.reshape(codes.shape[0], -1, per_word).astype(np.uint64) << (np.arange(per_word, dtype=np.uint64) * width)
    return torch.from_numpy(parts.sum(-1).astype(np.uint32).view(np.int32).copy())


def group_quantized(w, bits_, group, symmetric):
    """w [out, in] -> codes [in, out], scales and zeros [groups, out]."""
    out, wide = w.shape
    grouped = w.reshape(out, wide // group, group)
    top = 2**bits_ - 1
    if symmetric:
        scale = np.abs(grouped).max(-1) * 2 / top
        zero = np.full_like(scale, (top + 1) // 2)
    else:
        scale = (grouped.max(-1) - grouped.min(-1)) / top
        zero = np.round(-grouped.min(-1) / scale).clip(0, top)
    scale = scale.astype(np.float16).astype(np.float32)
    codes = np.round(grouped / scale[..., None] + zero[..., None]).clip(0, top)
    return codes.reshape(out, wide).T.astype(np.int64), scale.T, zero.T.astype(np.int64)


def layouts():
    tensors, configs = {}, {}

    def put(case, config, values, **parts):
        configs[case] = config
        tensors.update({f"{case}/{k.replace('__', '.')}": v for k, v in parts.items()})
        tensors[f"{case}/values"] = torch.as_tensor(np.asarray(values), dtype=torch.float32)

    out, wide, group = 32, 64, 32
    w = RNG.standard_normal((out, wide)).astype(np.float32)
    for bits_, symmetric, version, act_order in [(4, True, "gptq", False), (4, False, "gptq", False), (8, True, "gptq", False),
                                                 (2, False, "gptq", False), (4, False, "gptq_v2", False), (4, True, "gptq", True)]:
        order = RNG.permutation(wide) if act_order else np.arange(wide)
        codes, scale, zero = group_quantized(w[:, order], bits_, group, symmetric)
        g_idx = np.empty(wide, np.int64)
        g_idx[order] = np.arange(wide) // group
        codes = codes[np.argsort(order)]
        values = ((codes - zero[g_idx]) * scale[g_idx]).T
        assert np.abs(values - w).max() < 3 * scale.max()
        stored = zero if version == "gptq_v2" else (zero - 1) & (2**bits_ - 1)
        per = 32 // bits_
        name = f"gptq-{bits_}bit" + ("" if symmetric else "-zeros") + ("-v2" if "v2" in version else "") + ("-order" if act_order else "")
        put(name, dict(quant_method="gptq", bits=bits_, group_size=group, desc_act=act_order, sym=symmetric, checkpoint_format=version),
            values, qweight=packed(codes.T, per).T.contiguous(), qzeros=packed(stored, per),
            scales=torch.from_numpy(scale.copy()).half(), g_idx=torch.from_numpy(g_idx).int())
    codes, scale, zero = group_quantized(w, 4, group, False)
    mixed = lambda c: c.reshape(c.shape[0], -1, 8)[..., [0, 2, 4, 6, 1, 3, 5, 7]].reshape(c.shape)
    put("awq", dict(quant_method="awq", bits=4, group_size=group, zero_point=True, version="gemm"),
        ((codes - zero.repeat(group, 0)) * scale.repeat(group, 0)).T, qweight=packed(mixed(codes), 8), qzeros=packed(mixed(zero), 8),
        scales=torch.from_numpy(scale.copy()).half())

    source = torch.from_numpy(RNG.standard_normal((64, 256)).astype(np.float32) * 0.05)
    for kind in ("nf4", "fp4"):
        for double in (False, True):
            codes, state = bnb.quantize_4bit(source[:64 if double else 8], blocksize=64, quant_type=kind, compress_statistics=double)
            parts = {f"weight__{k.replace('.', '__')}": v for k, v in state.as_dict(packed=True).items()}
            put(f"bnb-{kind}" + ("-double" if double else ""), dict(
                quant_method="bitsandbytes", load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_use_double_quant=double),
                bnb.dequantize_4bit(codes, state), weight=codes, **parts)
    small = source[:8, :32]
    scb = small.abs().amax(1)
    eight = (small * 127 / scb[:, None]).round().to(torch.int8)
    put("bnb-int8", dict(quant_method="bitsandbytes", load_in_8bit=True), eight.float() * scb[:, None] / 127, weight=eight, SCB=scb)

    big = torch.from_numpy(RNG.standard_normal((136, 144)).astype(np.float32))  # blocks at the edges are cut
    block = 128
    scale = torch.stack([torch.stack([big[i:i + block, j:j + block].abs().max() / 448 for j in range(0, 144, block)])
                         for i in range(0, 136, block)])
    stretched = scale.repeat_interleave(block, 0)[:136].repeat_interleave(block, 1)[:, :144]
    eight = (big / stretched).to(torch.float8_e4m3fn)
    put("fp8-block", dict(quant_method="fp8", activation_scheme="dynamic", weight_block_size=[block, block]),
        eight.float() * stretched, weight=eight, weight_scale_inv=scale)

    blocks = torch.from_numpy(RNG.integers(0, 256, (2, 12, 3, 16), dtype=np.uint8))  # [experts, out, groups, 16]
    scales = torch.from_numpy(RNG.integers(120, 132, (2, 12, 3), dtype=np.uint8))
    values = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)  # [experts, in, out]
    put("mxfp4", dict(quant_method="mxfp4"), values.mT.contiguous(), down_proj_blocks=blocks, down_proj_scales=scales)
    save_file({k: v.contiguous() for k, v in tensors.items()}, OUT / "layouts.safetensors")
    (OUT / "layouts.json").write_text(json.dumps(configs, indent=1) + "\n")
    print(list(configs))


if __name__ == "__main__":
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    block_types()
    bits()
    layouts()
    print({p.name: p.stat().st_size for p in sorted(OUT.iterdir())})
