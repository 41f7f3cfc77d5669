"""Makes Tests/CheckpointsTests/Goldens/{types.safetensors,safetensors_verdicts.json} with the `safetensors` package (0.8).

  types.safetensors     one small tensor of each type that NumPy can hold, and an empty and a scalar one
  safetensors_verdicts.json
                        [[hex of a file, whether safetensors.deserialize takes it], ...]: mutants of small headers
"""
import json, random, struct, sys
from pathlib import Path

import numpy
import safetensors
from safetensors.numpy import save

out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "CheckpointsTests/Goldens")
out.mkdir(parents=True, exist_ok=True)

types = [numpy.bool_, numpy.uint8, numpy.int8, numpy.uint16, numpy.int16, numpy.float16, numpy.uint32, numpy.int32,
         numpy.float32, numpy.uint64, numpy.int64, numpy.float64]
tensors = {numpy.dtype(t).name: numpy.arange(6).reshape(2, 3).astype(t) for t in types}
tensors["scalar"] = numpy.array(2.5, numpy.float32)
tensors["empty"] = numpy.zeros((0, 4), numpy.float32)
(out / "types.safetensors").write_bytes(save(tensors, {"made by": "the reference implementation"}))


def file(header, data=b"\0" * 16, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(4,), offsets=(0, 16)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


good = {"a": entry(shape=(2,), offsets=(0, 8)), "b": entry(shape=(1, 2), offsets=(8, 16))}
cases = [
    file(good), file({}, b""), file({}), file({"__metadata__": {"k": "v"}, **good}), file(b"{}   ", b""),
    file({"__metadata__": {"k": 1}, **good}), file({"__metadata__": None, **good}), file(b" {}", b""), file(b"[]", b""),
    file(b"{}{}", b""), file(b"\xff{}", b""), file(b"{\"\xff\":1}", b""), b"", b"\0" * 7, b"\0" * 8,
    file({}, b"", 2**63), file({}, b"", 2**64 - 1), file({}, b"", 100_000_001), file({}, b"", 3), file({}, b"", 0),
    file({"a": entry(offsets=(0, 12))}), file({"a": entry(offsets=(4, 20))}), file({"a": entry(offsets=(16, 0))}),
    file({"a": entry(shape=(5,), offsets=(0, 20))}), file({"a": entry(shape=(3,), offsets=(0, 12))}),
    file({"a": entry(shape=(2**63, 2), offsets=(0, 0))}, b""), file({"a": entry(shape=(2**62, 4), offsets=(0, 0))}, b""),
    file({"a": entry(shape=(2**64,), offsets=(0, 16))}), file({"a": entry(shape=(-4,))}), file({"a": entry(shape=(4.0,))}),
    file({"a": entry(offsets=(0, 2**64 - 1))}), file({"a": entry(offsets=(0,))}), file({"a": entry(offsets=(0, 8, 16))}),
    file({"a": {**entry(), "x": 1}}), file({"a": {"dtype": "F32", "shape": [4]}}), file({"a": []}), file({"a": None}),
    file({"a": entry("F33")}), file({"a": entry("f32")}), file({"a": entry(shape=(), offsets=(0, 4))}, b"1234"),
    file({"a": entry("U8", (0,), (0, 0)), "b": entry("U8", (0,), (0, 0))}, b""),
    file({"a": entry("U8", (16,)), "b": entry("U8", (0,), (16, 16)), "c": entry("U8", (0,), (0, 0))}),
    file({"a": entry("U8", (8,), (0, 8)), "b": entry("U8", (8,), (0, 8))}, b"12345678"),
    file({"a": entry("U8", (8,), (0, 8)), "b": entry("U8", (4,), (12, 16))}),
    file({"a": entry("F4", (32,))}), file({"a": entry("F4", (31,))}), file({"a": entry("F6_E2M3", (4,), (0, 3))}, b"123"),
    file({"a": entry("F8_E8M0", (16,))}), file({"a": entry("C64", (2,))}), file({"": entry()}), file({"\0": entry()}),
    file(b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'),
]
base = file({"__metadata__": {"k": "v"}, **good})
rng = random.Random(0)
pieces = [b"0", b"1", b"-1", b"18446744073709551615", b"18446744073709551616", b"9223372036854775808", b"8", b"16", b"17",
          b"null", b"[]", b"{}", b'"F16"', b'"BF16"', b'"I64"', b"1e3", b"0.5"]
words = [b"8", b"16", b"2", b'"F32"', b"0", b"[2]", b"[1,2]", b'"v"', b"[0,8]"]
header = base[8:-16]
while len(cases) < 400:
    mutant = header
    for _ in range(rng.randint(1, 3)):
        word = rng.choice(words)
        at = [i for i in range(len(mutant)) if mutant.startswith(word, i)]
        if at:
            i = rng.choice(at)
            mutant = mutant[:i] + rng.choice(pieces) + mutant[i + len(word):]
    cases.append(file(mutant))

verdicts = []
for case in cases:
    try:
        safetensors.deserialize(case)
        verdicts.append([case.hex(), True])
    except Exception:
        verdicts.append([case.hex(), False])
(out / "safetensors_verdicts.json").write_text("[\n" + ",\n".join(json.dumps(v) for v in verdicts) + "\n]\n")
print(sum(v for _, v in verdicts), "of", len(verdicts), "accepted")
