"""Makes Tests/CheckpointsTests/Goldens/pytorch/ with `torch` (2.x) and `safetensors`.

  state.bin, state.safetensors   the same tensors of every type: views of one storage, a scalar, an empty one, a Parameter
  wrapped.pt                     {"state_dict": {...}, "step": 3}
  legacy.bin                     the format before PyTorch 1.6
  strided.bin                    a transposed view
  code.bin                       a pickle that calls os.system
"""
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

out = Path(__file__).parent.parent / "CheckpointsTests/Goldens/pytorch"
shutil.rmtree(out, ignore_errors=True)
out.mkdir(parents=True)

base = torch.arange(24, dtype=torch.float32)
state = {"linear.weight": torch.nn.Parameter(base[:12].reshape(3, 4) * 0.5), "view": base[6:12].reshape(2, 3),
         "other_view": base[12:], "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 4), "naïve": torch.ones(2)}
for kind in ["float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64"]:
    state[kind] = torch.tensor([[0, 1, 2], [3, 4, 5]]).to(getattr(torch, kind))
torch.save(state, out / "state.bin")
save_file({k: v.detach().clone() for k, v in state.items()}, out / "state.safetensors")

module = torch.nn.Linear(2, 3)
with torch.no_grad():
    module.weight.copy_(torch.arange(6.0).reshape(3, 2))
    module.bias.zero_()
torch.save({"step": 3, "state_dict": module.state_dict()}, out / "wrapped.pt")
torch.save({"a": base[:2].clone()}, out / "legacy.bin", _use_new_zipfile_serialization=False)
torch.save({"a": base[:6].reshape(2, 3).clone().t()}, out / "strided.bin")


class Code:
    def __reduce__(self):
        return os.system, ("touch /tmp/never",)


torch.save({"a": base[:2].clone(), "b": Code()}, out / "code.bin")
