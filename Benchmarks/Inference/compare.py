#!/usr/bin/env python3
"""Martlet beside llama.cpp on one GGUF file, alternately, so that both meet the same machine.

    compare.py MODEL.gguf --llama DIR_OF_LLAMA_BENCH [--threads 1,2] [--rounds 3] [--martlet .build/release/martlet]

Prints for each thread count: prefill of 512 tokens and decode of 64 behind 8 in tokens/s, for both, the median of the rounds
[least to most], and the median of the rounds' ratios; with --batch also eight sequences at once (64 tokens in, 32 out),
against llama-batched-bench. Only the ratios are worth keeping.
"""
import argparse
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import tempfile

WORDS = ("the river ran past old stones while seven birds watched a slow boat carry grain to market and people "
         "talked of rain before winter came over hills where sheep grazed near walls built long ago by hands").split()


def text(words, salt=0):
    return " ".join(WORDS[(i * 7 + i * i * 3 + salt * 11) % len(WORDS)] for i in range(words))


def martlet(args, threads, prompt, new):
    command = [args.martlet, "infer", "--model", args.model, "--raw", "--json", "--ignore_eos", "--temperature", "0",
               "--max_new_tokens", str(new), "--max_model_len", "1024", prompt]
    out = subprocess.run(command, env={**os.environ, "MARTLET_THREADS": str(threads)}, capture_output=True, text=True, check=True)
    return json.loads(out.stdout.splitlines()[-1])


def ours(args, threads):
    # The first run of a prompt pays for what a process pays once: the difference of two lengths is the rate.
    long = martlet(args, threads, text(args.words), 1)
    short = martlet(args, threads, text(8), 64)
    prefill = (long["prompt_tokens"] - short["prompt_tokens"]) / (long["seconds_to_first_token"] - short["seconds_to_first_token"])
    return prefill, short["tokens_per_second"]


def theirs(args, threads):
    command = [f"{args.llama}/llama-bench", "-m", args.model, "-t", str(threads), "-p", "512", "-n", "64", "-r", "1", "-o", "json"]
    rows = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return (next(r["avg_ts"] for r in rows if r["n_prompt"]), next(r["avg_ts"] for r in rows if r["n_gen"]))


def ours_batch(args, threads):
    with tempfile.TemporaryDirectory() as folder:
        rows = pathlib.Path(folder) / "rows.jsonl"
        rows.write_text("".join(json.dumps({"messages": [{"role": "user", "content": text(55, i)}]}) + "\n" for i in range(8)))
        command = [args.martlet, "infer", "--model", args.model, "--raw", "--ignore_eos", "--temperature", "0", "--max_new_tokens", "32",
                   "--val_dataset", str(rows), "--max_batch_size", "8", "--max_model_len", "512", "--result_path", f"{folder}/out.jsonl"]
        out = subprocess.run(command, env={**os.environ, "MARTLET_THREADS": str(threads)}, capture_output=True, text=True, check=True)
    return float(re.search(r"([\d.]+) generated tokens/s", out.stderr).group(1))


def theirs_batch(args, threads):
    command = [f"{args.llama}/llama-batched-bench", "-m", args.model, "-t", str(threads), "-tb", str(threads), "-c", "4096",
               "-npp", "64", "-ntg", "32", "-npl", "8", "--output-format", "jsonl"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    row = next(json.loads(line) for line in out.splitlines() if line.startswith("{"))
    return row["n_kv"] and 8 * 32 / row["t"]


def shown(values):
    return f"{statistics.median(values):.1f} [{min(values):.1f} to {max(values):.1f}]"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--llama", required=True)
    parser.add_argument("--martlet", default=".build/release/martlet")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--words", type=int, default=505, help="words of the long prompt: about 512 tokens")
    parser.add_argument("--batch", action="store_true")
    args = parser.parse_args()
    for threads in map(int, args.threads.split(",")):
        pairs = [(ours_batch(args, threads), theirs_batch(args, threads)) if args.batch
                 else tuple(zip(ours(args, threads), theirs(args, threads))) for _ in range(args.rounds)]
        kinds = {"eight at once": pairs} if args.batch else {
            "prefill": [p[0] for p in pairs], "decode": [p[1] for p in pairs]}
        for kind, rounds in kinds.items():
            ratio = statistics.median(a / b for a, b in rounds)
            print(f"{pathlib.Path(args.model).name} threads {threads} {kind}: martlet {shown([a for a, _ in rounds])} "
                  f"llama.cpp {shown([b for _, b in rounds])} tokens/s, ratio {ratio:.2f}", flush=True)
    print(f"largest resident memory of a child: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
