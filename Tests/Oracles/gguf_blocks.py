"""Writes Tests/CPUKernelTests/Goldens/<layout>.bin: random blocks and what the `gguf` package reads from them.

A file holds u32 columns, u32 rows, the rows' bytes, then rows x columns f32, little-endian.
Run from the project root: python3 Tests/Oracles/gguf_blocks.py   (versions: README.md beside this file)
"""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants

COLUMNS, ROWS = 512, 2
# Byte offsets of f16 fields in a block; random bits there would give infinities.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2],
    "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": [],
}

target = Path("Tests/CPUKernelTests/Goldens")
target.mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(20)
for name, halves in HALVES.items():
    kind = Type[name]
    block, size = quants.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (ROWS * COLUMNS // block, size), dtype=np.uint8)
    for offset in halves:
        values = random.uniform(-0.05, 0.05, len(blocks)).astype(np.float16)
        blocks[:, offset : offset + 2] = values.view(np.uint8).reshape(-1, 2)
    if name == "MXFP4":
        blocks[:, 0] = random.integers(100, 140, len(blocks))
        blocks[0, 0], blocks[1, 0] = 1, 2
    rows = blocks.reshape(ROWS, -1)
    values = quants.dequantize(rows, kind).astype(np.float32)
    assert values.shape == (ROWS, COLUMNS)
    header = np.array([COLUMNS, ROWS], dtype="<u4").tobytes()
    (target / f"{name.lower()}.bin").write_bytes(header + rows.tobytes() + values.astype("<f4").tobytes())
