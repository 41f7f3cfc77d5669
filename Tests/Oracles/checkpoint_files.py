"""Checkpoints as the official libraries write them: safetensors and torch.save, whole and in shards.

    python Tests/Oracles/checkpoint_files.py

writes Tests/Goldens/checkpoints: values.safetensors (what every file must read as, f32 or i64), types.safetensors (one tensor
of each type), sharded/ (transformers' shards and index), pytorch.bin (torch.save: views, shared storage, strides, nn.Parameter,
half, bfloat16, integers, bool), pytorch-legacy.bin (the form before zip), pytorch-nested.bin ("state_dict" inside other things),
sharded-bin/ and refused.bin (a pickle that would run a command: it must be refused and never run).
"""
import collections
import json
import os
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import load_file, save_file

OUT = pathlib.Path(__file__).resolve().parent.parent / "Goldens" / "checkpoints"


class Command:
    def __reduce__(self):
        return os.system, ("touch /tmp/this-file-must-not-appear",)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    gen = torch.Generator().manual_seed(8)
    base = torch.randn(6, 8, generator=gen)
    state = collections.OrderedDict(
        plain=base.clone(), half=base.half(), brain=base.bfloat16(), double=base.double() * 1e3, scalar=torch.tensor(2.5),
        empty=torch.zeros(0, 4), long=torch.arange(-3, 9).reshape(3, 4), int=torch.arange(5, dtype=torch.int32),
        short=torch.arange(4, dtype=torch.int16), byte=torch.arange(250, 256, dtype=torch.uint8),
        signed=torch.arange(-4, 4, dtype=torch.int8), flags=torch.tensor([True, False, True]),
        view=base[2:5, 1:7], transposed=base.t(), strided=base[::2, ::3], same=base[2:5, 1:7], offset=base.reshape(-1)[11:19])
    state["parameter"] = torch.nn.Parameter(base * 2)
    state["e4m3"] = (base * 3).to(torch.float8_e4m3fn)
    state["e5m2"] = (base * 3).to(torch.float8_e5m2)
    state["deep.block.0.weight"] = base + 1
    torch.save(state, OUT / "pytorch.bin")
    old = collections.OrderedDict((k, v) for k, v in state.items() if "e4m3" not in k and "e5m2" not in k)
    torch.save(old, OUT / "pytorch-legacy.bin", _use_new_zipfile_serialization=False)
    torch.save(dict(epoch=3, note="text", state_dict=dict(list(old.items())[:3]), lr=[1e-3, 0.5], none=None),
               OUT / "pytorch-nested.bin")
    torch.save(dict(weight=base, run=Command()), OUT / "refused.bin")
    owned = {k: v.detach().clone().contiguous() for k, v in state.items()}
    save_file(owned, OUT / "types.safetensors", metadata={"format": "pt"})
    save_file({k: v.long() if not v.is_floating_point() else v.float() for k, v in owned.items()}, OUT / "values.safetensors")

    model = transformers.AutoModelForCausalLM.from_pretrained(OUT.parent / "families" / "llama-tied", dtype=torch.bfloat16)
    model.save_pretrained(OUT / "sharded", max_shard_size="20KB")
    for extra in (OUT / "sharded").glob("generation_config.json"):
        extra.unlink()
    index = json.loads((OUT / "sharded/model.safetensors.index.json").read_text())
    shards = sorted(set(index["weight_map"].values()))
    (OUT / "sharded-bin").mkdir()
    weights = {}
    for shard in shards:
        part = load_file(OUT / "sharded" / shard)
        weights.update({k: shard.replace("model-", "pytorch_model-").replace(".safetensors", ".bin") for k in part})
        torch.save(part, OUT / "sharded-bin" / weights[next(iter(part))])
    (OUT / "sharded-bin/pytorch_model.bin.index.json").write_text(
        json.dumps(dict(metadata=index["metadata"], weight_map=weights), indent=1) + "\n")
    shutil.copy(OUT / "sharded/config.json", OUT / "sharded-bin/config.json")
    print({str(p.relative_to(OUT)): p.stat().st_size for p in sorted(OUT.rglob("*")) if p.is_file()})


if __name__ == "__main__":
    transformers.utils.logging.disable_progress_bar()
    main()
