"""Makes Tests/CheckpointsTests/Goldens/{types.gguf,types.gguf.json,gguf_names.json} with the `gguf` package (0.19).

  types.gguf       every type of metadata value, tensors of some layouts, an alignment of 64
  types.gguf.json  what GGUFReader finds in it
  gguf_names.json  {architecture: [[GGUF name, published name], ...]} by the package's name maps, for the tensors of the
                   tiny models in Tests/Goldens/families
"""
import json, struct, sys
from pathlib import Path

import gguf
import numpy
from gguf.constants import GGUFValueType, MODEL_ARCH
from gguf.quants import quantize

tests = Path(__file__).parent.parent
out = tests / "CheckpointsTests/Goldens"

writer = gguf.GGUFWriter(out / "types.gguf", "test")
writer.add_custom_alignment(64)
for name, value, kind in [
    ("u8", 200, GGUFValueType.UINT8), ("i8", -100, GGUFValueType.INT8), ("u16", 60000, GGUFValueType.UINT16),
    ("i16", -30000, GGUFValueType.INT16), ("u32", 4000000000, GGUFValueType.UINT32),
    ("i32", -2000000000, GGUFValueType.INT32), ("f32", 0.1, GGUFValueType.FLOAT32), ("bool", True, GGUFValueType.BOOL),
    ("string", "naïve 🐦", GGUFValueType.STRING), ("u64", 2**63 - 1, GGUFValueType.UINT64),
    ("i64", -(2**63), GGUFValueType.INT64), ("f64", 0.1, GGUFValueType.FLOAT64),
]:
    writer.add_key_value("test." + name, value, kind)
writer.add_array("test.ints", [1, -2, 3])
writer.add_array("test.floats", [0.5, 1.5])
writer.add_array("test.bools", [True, False])
writer.add_array("test.texts", ["a", "", "é"])
rng = numpy.random.default_rng(0)
matrix = rng.standard_normal((3, 256)).astype(numpy.float32)
writer.add_tensor("matrix.f32", matrix)
writer.add_tensor("matrix.f16", matrix.astype(numpy.float16))
writer.add_tensor("vector.i32", numpy.arange(5, dtype=numpy.int32))
writer.add_tensor("cube.f32", numpy.arange(24, dtype=numpy.float32).reshape(2, 3, 4))
for kind in ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "BF16", "TQ1_0", "TQ2_0", "MXFP4"]:
    kind = gguf.GGMLQuantizationType[kind]
    writer.add_tensor("matrix." + kind.name.lower(), quantize(matrix, kind), raw_dtype=kind)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

reader = gguf.GGUFReader(out / "types.gguf")
found = {
    "metadata": {k: f.contents() for k, f in reader.fields.items() if not k.startswith("GGUF.")},
    "tensors": [
        [t.name, t.tensor_type.name.lower(), [int(d) for d in reversed(t.shape)], int(t.data_offset), int(t.n_bytes)]
        for t in reader.tensors
    ],
    "sizes": {k.name.lower(): list(v) for k, v in gguf.GGML_QUANT_SIZES.items()},
}
(out / "types.gguf.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")

FAMILIES = {
    "llama": "llama-bias", "mixtral": "mixtral", "qwen": "qwen", "qwen2": "qwen2", "qwen2moe": "qwen2_moe",
    "qwen3": "qwen3", "qwen3moe": "qwen3_moe", "gemma": "gemma", "gemma2": "gemma2", "gemma3": "gemma3_text",
    "phi3": "phi3", "glm4": "glm4", "chatglm": "chatglm", "gpt2": "gpt2", "starcoder2": "starcoder2", "bert": "bert",
    "command-r": "cohere-qk-norm", "cohere2": "cohere2", "olmo": "olmo", "olmo2": "olmo2", "olmoe": "olmoe",
    "minicpm": "minicpm", "deepseek2": "deepseek_v3",
}
archs = {gguf.MODEL_ARCH_NAMES[a]: a for a in MODEL_ARCH}
names = {}
for arch, family in FAMILIES.items():
    path = tests / "Goldens/families" / family / "model.safetensors"
    data = path.read_bytes()
    header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
    table = gguf.get_tensor_name_map(archs["llama" if arch == "mixtral" else arch], 4)
    rows = []
    for name in sorted(header):
        if name == "__metadata__":
            continue
        parts = name.split(".")
        if "experts" in parts and parts[parts.index("experts") + 1].isdigit():
            # The converter stacks experts before it looks the name up.
            at = parts.index("experts") + 1
            stacked = ".".join(parts[:at] + parts[at + 1:])
            found = table.get_name(stacked, try_suffixes=(".weight", ".bias"))
            if parts[at] == "1" and found:
                rows.append([found, name])
            continue
        # As the converters do: BertModel's and ChatGLM's prefixes go, and DeepSeek's correction becomes a bias.
        plain = name.removeprefix("bert.").replace("e_score_correction_bias", "e_score_correction.bias")
        if arch == "chatglm":
            plain = plain.removeprefix("transformer.")
        found = table.get_name(plain, try_suffixes=(".weight", ".bias"))
        if found:
            rows.append([found, name.removeprefix("bert.")])
        else:
            print(arch, "has no name for", name, file=sys.stderr)
    names[arch] = rows
(out / "gguf_names.json").write_text(
    "{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in names.items()) + "\n}\n")
