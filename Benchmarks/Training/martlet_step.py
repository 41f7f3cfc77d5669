"""The same steps by martlet train, timed from its own log.

    python martlet_step.py PROGRAM OUT MODE ROWS LENGTH STEPS [FLAG ...]
"""
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile


def main(program, out, mode, rows, length, steps, *flags):
    with tempfile.TemporaryDirectory() as directory:
        pairs = mode == "dpo"
        command = [
            program, "train", "--model", f"{out}/model", "--dataset", f"{out}/{'pairs' if pairs else 'rows'}-{length}.jsonl",
            "--output_dir", directory, "--max_steps", steps, "--logging_steps", "1", "--gradient_accumulation_steps", "1",
            "--per_device_train_batch_size", str(int(rows) // 2 if pairs else rows), "--lora_dropout", "0", "--report_to", "none",
            "--save_strategy", "no", "--save_only_model", "true", "--gradient_checkpointing", "false",
            "--tuner_type", "full" if mode == "full" else "lora", *(["--rlhf_type", "dpo"] if pairs else []), *flags]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        lines = (pathlib.Path(directory) / "logging.jsonl").read_text().splitlines()
        records = [record for record in map(json.loads, lines) if "loss" in record]
        later = [record["tokens_per_second"] for record in records[1:]]
        print(json.dumps(dict(
            what="martlet", mode=mode, rows=int(rows), length=int(length), flags=" ".join(flags),
            tokens_per_second=round(statistics.median(later), 1), least=round(min(later), 1), most=round(max(later), 1),
            peak_gib=round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20, 2),
            loss=[round(record["loss"], 4) for record in records[:2]])))


if __name__ == "__main__":
    main(*sys.argv[1:])
