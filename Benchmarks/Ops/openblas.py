"""OpenBLAS's cblas_sgemm beside the CPU device's f32 products, y = x wᵀ, in turns within one run.

    python3 Benchmarks/Ops/openblas.py [MARTLET] [LIBOPENBLAS]

Each round times every shape by the one, then all by the other (`martlet bench ops`). Printed: medians of the rounds in
microseconds, with the least and the most, and OpenBLAS's time over ours.
"""

import ctypes
import json
import os
import statistics
import subprocess
import sys
import time

MARTLET = sys.argv[1] if len(sys.argv) > 1 else ".build/release/martlet"
LIBRARY = sys.argv[2] if len(sys.argv) > 2 else "libopenblas.so.0"
ROUNDS = 3
SECONDS = 0.25
PREFILL = [(512, 4864, 896), (512, 896, 4864), (512, 4096, 4096), (32, 4096, 4096)]
DECODE = [(8, 4096, 4096), (1, 4096, 4096), (1, 4864, 896), (1, 896, 4864)]

for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.pop(name, None)
blas = ctypes.CDLL(LIBRARY)
blas.openblas_get_config.restype = ctypes.c_char_p
ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112


def floats(count):
    """Numbers between -1 and 1, in memory that is touched."""
    block = (ctypes.c_float * 4096)(*[(i * 2654435761 % 65536) / 32768 - 1 for i in range(4096)])
    memory = (ctypes.c_float * count)()
    for start in range(0, count, 4096):
        ctypes.memmove(ctypes.byref(memory, 4 * start), block, 4 * min(4096, count - start))
    return memory


def openblas(shape, threads):
    """Seconds of one product. Few tokens meet so many weights in turn that no cache holds them, as martlet's do."""
    tokens, rows, columns = shape
    copies = max(2, (256 << 20) // (4 * rows * columns)) if shape in DECODE else 1
    weights = [floats(rows * columns) for _ in range(copies)]
    x, y = floats(tokens * columns), floats(tokens * rows)
    blas.openblas_set_num_threads(threads)
    number = ctypes.c_float

    def call():
        for w in weights:
            blas.cblas_sgemm(ROW_MAJOR, PLAIN, TRANSPOSED, tokens, rows, columns, number(1), x, columns, w, columns,
                             number(0), y, rows)

    call()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        call()
        count += 1
    return (time.perf_counter() - start) / (count * copies)


def ours(threads):
    """Seconds by shape."""
    found = {}
    for name in ("linear f32 f32", "linear f32 decode"):
        text = subprocess.run([MARTLET, "bench", "ops", "--json", "--filter", name], check=True, text=True,
                              env={**os.environ, "MARTLET_THREADS": str(threads)}, stdout=subprocess.PIPE).stdout
        for row in map(json.loads, text.splitlines()):
            shape = tuple(int(size) for size in row["shape"].split(" x "))
            found[shape] = row["seconds"]
    return found


def spread(times):
    return "%9.1f [%.1f-%.1f]" % tuple(1e6 * t for t in (statistics.median(times), min(times), max(times)))


print(blas.openblas_get_config().decode())
for threads in (1, 2):
    theirs, own = {}, {}
    for _ in range(ROUNDS):
        for shape in PREFILL + DECODE:
            theirs.setdefault(shape, []).append(openblas(shape, threads))
        for shape, seconds in ours(threads).items():
            own.setdefault(shape, []).append(seconds)
    for shape in PREFILL + DECODE:
        ratio = statistics.median(theirs[shape]) / statistics.median(own[shape])
        print("%d threads  %-20s OpenBLAS %-30s martlet %-30s %.2f" % (
            threads, " x ".join(map(str, shape)), spread(theirs[shape]), spread(own[shape]), ratio), flush=True)
