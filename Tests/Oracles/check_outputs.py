"""Opens what Martlet wrote with the official libraries.

    python Tests/Oracles/check_outputs.py logits  MODEL_DIR IDS.jsonl LOGITS.safetensors [ADAPTER_DIR]
    python Tests/Oracles/check_outputs.py adapter BASE_DIR ADAPTER_DIR
    python Tests/Oracles/check_outputs.py gguf    FILE.gguf [HF_DIR]
    python Tests/Oracles/check_outputs.py events  RUN_DIR

logits: transformers (with peft when an adapter is named) computes the logits of every line of IDS, a JSON list of ids, and compares
    them with tensors of the file, in order of their names ("logits.0", "logits.1", ... or one tensor of all tokens).
adapter: peft loads the adapter without missing or unexpected names and prints its size.
gguf: the gguf library reads every tensor, llama.cpp opens the file, and with HF_DIR the two give the same next-token logits.
events: TensorBoard reads the run's event files; prints each tag with its first and last value.
Exit code 1 when something does not hold.
"""
import json
import pathlib
import sys

import numpy as np


def fail(message):
    raise SystemExit(message)


def close(name, got, want, tolerance):
    if got.shape != want.shape:
        fail(f"{name}: shape {got.shape}, wanted {want.shape}")
    error = float(np.abs(got - want).max() / max(1.0, np.abs(want).max()))
    agree = float((got.argmax(-1) == want.argmax(-1)).mean())
    print(f"{name}: largest difference {error:.2e} of the largest logit, top-1 agreement {agree:.4f}")
    if not error <= tolerance:
        fail(f"{name}: {error:.2e} is above {tolerance:.0e}")


def load_model(directory, adapter=None):
    import torch
    import transformers
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    if adapter:
        from peft import PeftModel
        model = PeftModel.from_pretrained(model, adapter).eval()
    return model


def run(model, ids):
    import torch
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0].double().numpy()


def by_number(names):
    return sorted(names, key=lambda n: [int(p) if p.isdigit() else p for p in n.split(".")])


def logits(directory, ids_file, logits_file, adapter=None):
    from safetensors.numpy import load_file
    rows = [json.loads(line) for line in pathlib.Path(ids_file).read_text().splitlines() if line.strip()]
    rows = [row["ids"] if isinstance(row, dict) else row for row in rows]
    tensors = load_file(logits_file)
    given = np.concatenate([tensors[n].reshape(-1, tensors[n].shape[-1]) for n in by_number(tensors) if tensors[n].ndim >= 2])
    model = load_model(directory, adapter)
    close("logits", given.astype(np.float64), np.concatenate([run(model, ids) for ids in rows]), 1e-4)


def adapter(base, directory):
    from safetensors.numpy import load_file
    model = load_model(base)
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
    written = load_file(pathlib.Path(directory) / "adapter_model.safetensors")
    wanted = get_peft_model_state_dict(get_peft_model(model, LoraConfig.from_pretrained(directory)))
    missing, extra = sorted(set(wanted) - set(written)), sorted(set(written) - set(wanted))
    shapes = [n for n in wanted if n in written and tuple(wanted[n].shape) != written[n].shape]
    if missing or extra or shapes:
        fail(f"missing {missing[:5]}, unexpected {extra[:5]}, of another shape {shapes[:5]}")
    load_model(base, directory)
    print(f"adapter: {len(written)} tensors, {sum(v.size for v in written.values())} values, as peft expects")


def gguf(file, directory=None):
    import gguf as library
    from real_models import LlamaCpp
    reader = library.GGUFReader(file)
    for tensor in reader.tensors:
        values = library.dequantize(tensor.data, tensor.tensor_type)
        if not np.isfinite(values).all():
            fail(f"{tensor.name} has values that are not finite")
    engine = LlamaCpp(file)
    print(f"gguf: {len(reader.tensors)} tensors read; llama.cpp opened the file")
    if directory:
        ids = [5, 17, 9, 30, 12, 7]
        close("next token", engine.run(ids, 0, every=True), run(load_model(directory), ids), 5e-3)


def events(directory):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    files = sorted(pathlib.Path(directory).glob("**/*tfevents*"))
    if not files:
        fail(f"there is no event file below {directory}")
    run_directory = EventAccumulator(str(files[-1].parent), size_guidance={"scalars": 0})
    run_directory.Reload()
    tags = run_directory.Tags()["scalars"]
    if not tags:
        fail(f"TensorBoard finds no scalars in {directory}")
    for tag in tags:
        points = run_directory.Scalars(tag)
        print(f"{tag}: {len(points)} points, step {points[0].step} {points[0].value:.6g} ... step {points[-1].step} {points[-1].value:.6g}")


if __name__ == "__main__":
    commands = dict(logits=logits, adapter=adapter, gguf=gguf, events=events)
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        raise SystemExit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
