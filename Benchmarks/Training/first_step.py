"""From the command to the first training step: LoRA of a model on a small file, several times.

    python first_step.py PROGRAM MODEL DATA.jsonl [RUNS]

Prints the medians of the seconds until the trained tensors are named (model, data and graph are ready: the first step begins), until the
first step is reported, and of the whole command with one step and its adapter.
"""
import json
import statistics
import subprocess
import sys
import tempfile
import time


def main(program, model, data, runs="5"):
    ready, first, whole = [], [], []
    for _ in range(int(runs)):
        with tempfile.TemporaryDirectory() as directory:
            start = time.perf_counter()
            process = subprocess.Popen(
                [program, "train", "--model", model, "--dataset", data, "--output_dir", directory, "--max_steps", "1",
                 "--gradient_accumulation_steps", "1", "--save_strategy", "no", "--save_only_model", "true", "--report_to", "none"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for line in process.stdout:
                if "trained numbers" in line:
                    ready.append(time.perf_counter() - start)
                if line.startswith("step 1"):
                    first.append(time.perf_counter() - start)
            if process.wait():
                raise SystemExit("martlet train failed")
            whole.append(time.perf_counter() - start)
    print(json.dumps({
        name: dict(median=round(statistics.median(times), 3), least=round(min(times), 3), most=round(max(times), 3))
        for name, times in (("ready", ready), ("first step", first), ("whole", whole)) if times}))


if __name__ == "__main__":
    main(*sys.argv[1:])
