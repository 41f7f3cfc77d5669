"""PyTorch bf16 + transformers + peft against martlet train, in turn, in one run on one machine.

    python compare.py BUILD MODELS TASK [PREFIX …]    BUILD: folder of martlet; MODELS: where make_model.py wrote
                                                      the shapes; TASK: lora-1x512 | lora-4x256 | dpo-2x256 | full-1x512;
                                                      PREFIX: a command that runs each part alone, such as `flock lock`

Runs martlet, PyTorch, martlet, with the machine's bf16 peak measured before and after. Prints tokens a second (medians of the steps after
the first), the ratio, each one's share of the bf16 peak, and the peak resident memory.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
# Shape, parameters in millions, operations a token and parameter (forward 2, gradient of inputs 2, of weights 2; DPO's reference 2), steps.
TASKS = {
    "lora-1x512": ("qwen2-0.5b", 494.0, 4, 5), "lora-4x256": ("qwen2-0.5b", 494.0, 4, 3),
    "dpo-2x256": ("qwen2-0.5b", 494.0, 6, 4), "full-1x512": ("smollm2-135m", 134.5, 6, 8),
}


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "2"})
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    print(*done.stdout.strip().splitlines()[-1:], file=sys.stderr, flush=True)
    return done.stdout.strip().splitlines()


def peak(build, prefix):
    """10⁹ operations a second in bf16 on registers, as `martlet bench ops` measures it beside its ops."""
    rows = [json.loads(line) for line in run(*prefix, build / "martlet", "bench", "ops", "--json", "--filter", "linear bf16 bf16")]
    return statistics.median(row["rate"] / row["share"] for row in rows if row.get("ceiling") == "bf16")


def main(build, models, task, *prefix):
    build, (shape, millions, factor, steps) = pathlib.Path(build), TASKS[task]
    mode, size = task.split("-")
    rows, length = size.split("x")
    data = pathlib.Path(models) / shape

    def martlet():
        return json.loads(run(*prefix, sys.executable, HERE / "martlet_step.py", build / "martlet", data, mode, rows, length, steps)[-1])

    peaks = [peak(build, prefix)]
    ours = [martlet()]
    theirs = json.loads(run(*prefix, sys.executable, HERE / "torch_step.py", data, mode, rows, length, max(3, steps - 1))[-1])
    ours.append(martlet())
    peaks.append(peak(build, prefix))
    ceiling = statistics.mean(peaks)
    speed = statistics.mean(run["tokens_per_second"] for run in ours)

    def share(tokens):
        return round(tokens * factor * millions * 1e6 / (ceiling * 1e9), 3)

    memory = max(run["peak_gib"] for run in ours)
    print(json.dumps(dict(
        task=task, peak_gops=[round(p) for p in peaks],
        martlet=dict(
            tokens_per_second=[run["tokens_per_second"] for run in ours], least=min(run["least"] for run in ours),
            most=max(run["most"] for run in ours), share=share(speed), peak_gib=memory),
        torch=dict(
            tokens_per_second=theirs["tokens_per_second"], least=theirs["least"], most=theirs["most"],
            share=share(theirs["tokens_per_second"]), peak_gib=theirs["peak_gib"]),
        ratio=round(speed / theirs["tokens_per_second"], 2), memory_ratio=round(memory / theirs["peak_gib"], 2))))


if __name__ == "__main__":
    main(*sys.argv[1:])
