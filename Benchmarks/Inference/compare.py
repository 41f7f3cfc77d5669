#!/usr/bin/env python3
"""Martlet beside llama.cpp and beside the machine's read bandwidth on one GGUF file, alternately, so that all meet the same machine.

    compare.py MODEL.gguf --llama DIR_OF_LLAMA_BENCH [--what decode,prefill,batch,start] [--threads 1,2] [--rounds 5]

One round asks each of them once. Printed are medians of the rounds [least to most], and the median of the rounds' ratios
[least to most]: only the ratios are worth keeping.

    decode   64 tokens behind 8, tokens/s; and the weights' bytes a second against reading 2 MiB pages with as many threads
    prefill  512 tokens, tokens/s
    batch    eight sequences at once, 64 tokens in, 32 out: tokens out a second of the whole
    start    a process from its start to its end with one token, in seconds (files are in the page cache)

Each line also has the most memory that was ever resident, against file + cache + 100 MB.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import struct
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
WORDS = ("the river ran past old stones while seven birds watched a slow boat carry grain to market and people "
         "talked of rain before winter came over hills where sheep grazed near walls built long ago by hands").split()


def text(words, salt=0):
    return " ".join(WORDS[(i * 7 + i * i * 3 + salt * 11) % len(WORDS)] for i in range(words))


def tensor_bytes(path):
    """Bytes of the file's tensors: what a token reads where the head is the embedding, as it is here."""
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    with open(path, "rb") as file:
        def read(form):
            return struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))[0]

        def skip(kind):
            if kind == 8:
                file.seek(read("Q"), 1)
            elif kind == 9:
                inner, count = read("I"), read("Q")
                if inner in sizes:
                    file.seek(sizes[inner] * count, 1)
                else:
                    for _ in range(count):
                        skip(inner)
            else:
                file.seek(sizes[kind], 1)
        file.seek(8)
        tensors, keys = read("Q"), read("Q")
        for _ in range(keys):
            file.seek(read("Q"), 1)
            skip(read("I"))
        for _ in range(tensors):
            file.seek(read("Q"), 1)
            file.seek(8 * read("I") + 4 + 8, 1)
        return os.path.getsize(path) - file.tell()


def run(command, threads=None):
    """Output, errors, wall seconds and most resident bytes of a process."""
    environment = {**os.environ, **({"MARTLET_THREADS": str(threads)} if threads else {})}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - start
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise SystemExit(f"{command} ended with {process.returncode}:\n{err.read().decode()[-2000:]}")
        return out.read().decode(), err.read().decode(), seconds, usage.ru_maxrss * 1024


def martlet(args, threads, prompt, new):
    out, _, seconds, resident = run(
        [args.martlet, "infer", "--model", args.model, "--raw", "--json", "--ignore_eos", "--temperature", "0", "--max_new_tokens",
         str(new), "--max_model_len", "1024", prompt], threads)
    return {**json.loads(out.splitlines()[-1]), "wall": seconds, "resident": resident}


def llama_bench(args, threads, prompt, new):
    out, _, _, resident = run([f"{args.llama}/llama-bench", "-m", args.model, "-t", str(threads), "-p", str(prompt), "-n", str(new),
                               "-r", "1", "-o", "json"])
    return json.loads(out)[0]["avg_ts"], resident


def decode(args, threads):
    ours = martlet(args, threads, text(8), 64)
    theirs, resident = llama_bench(args, threads, 0, 64)
    read = float(run([args.read, str(threads)])[0])
    return ours["tokens_per_second"], theirs, ours["resident"], resident, ours["tokens_per_second"] * args.bytes * 1e-9, read


def rows(args, threads, count, words, new, at_once):
    """Wall seconds of a process that answers `count` prompts, their tokens, and its most resident bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps({"messages": [{"role": "user", "content": text(words, i)}]}) + "\n" for i in range(count)))
        _, errors, seconds, resident = run(
            [args.martlet, "infer", "--model", args.model, "--raw", "--ignore_eos", "--temperature", "0", "--max_new_tokens", str(new),
             "--val_dataset", str(path), "--max_batch_size", str(at_once), "--max_model_len", "1024", "--result_path", f"{folder}/out.jsonl"],
            threads)
        read, written = re.search(r"(\d+) \+ (\d+) tokens", errors).groups()
        return seconds, int(read), int(written), resident


# A process pays for its start and its weights once, llama.cpp's programs do not count that: the difference of two lengths is the rate.
def prefill(args, threads):
    long, short = rows(args, threads, 6, args.words, 1, 1), rows(args, threads, 2, args.words, 1, 1)
    theirs, resident = llama_bench(args, threads, 512, 0)
    return (long[1] - short[1]) / (long[0] - short[0]), theirs, long[3], resident


def batch(args, threads):
    long, short = rows(args, threads, 24, 55, 32, 8), rows(args, threads, 8, 55, 32, 8)
    out, _, _, theirs = run([f"{args.llama}/llama-batched-bench", "-m", args.model, "-t", str(threads), "-tb", str(threads), "-c", "4096",
                             "-npp", "64", "-ntg", "32", "-npl", "8", "--output-format", "jsonl"])
    row = next(json.loads(line) for line in out.splitlines() if line.startswith("{"))
    return (long[2] - short[2]) / (long[0] - short[0]), 8 * 32 / row["t"], long[3], theirs


def start(args, threads):
    ours = martlet(args, threads, "Hello", 1)
    _, _, seconds, resident = run([f"{args.llama}/llama-completion", "-m", args.model, "-t", str(threads), "-p", "Hello", "-n", "1",
                                   "-no-cnv", "-c", "1024"])
    # Theirs over ours, so that more is better here as well.
    return 1 / ours["wall"], 1 / seconds, ours["resident"], resident


def spread(values, digits=1):
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f} to {max(values):.{digits}f}]"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--llama", required=True)
    parser.add_argument("--martlet", default=".build/release/martlet")
    parser.add_argument("--what", default="decode")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--words", type=int, default=505, help="words of the long prompt: about 512 tokens")
    args = parser.parse_args()
    args.bytes = tensor_bytes(args.model)
    kinds = {"decode": decode, "prefill": prefill, "batch": batch, "start": start}
    with tempfile.TemporaryDirectory() as folder:
        args.read = f"{folder}/read"
        subprocess.run(["cc", "-O3", "-march=native", "-pthread", str(HERE / "read.c"), "-o", args.read], check=True)
        for what in args.what.split(","):
            for threads in map(int, args.threads.split(",")):
                rounds = [kinds[what](args, threads) for _ in range(args.rounds)]
                ours, theirs, resident, their_resident = ([r[i] for r in rounds] for i in range(4))
                if what == "start":
                    ours_shown, theirs_shown, unit = spread([1 / x for x in ours], 3), spread([1 / x for x in theirs], 3), "s"
                else:
                    ours_shown, theirs_shown, unit = spread(ours), spread(theirs), "tokens/s"
                line = (f"{pathlib.Path(args.model).stem} {what} threads {threads}: martlet {ours_shown} llama.cpp {theirs_shown} {unit}, "
                        f"ratio {spread([a / b for a, b in zip(ours, theirs)], 2)}")
                if what == "decode":
                    line += (f"; {spread([r[4] for r in rounds])} of {spread([r[5] for r in rounds])} GB/s read, "
                             f"share {spread([100 * r[4] / r[5] for r in rounds], 0)} %")
                size = os.path.getsize(args.model)
                print(f"{line}; resident {max(resident) / 1e6:.0f} and {max(their_resident) / 1e6:.0f} MB for a file of {size / 1e6:.0f} MB",
                      flush=True)


if __name__ == "__main__":
    main()
