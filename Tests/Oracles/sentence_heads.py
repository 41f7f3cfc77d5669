"""What sentence-transformers makes of a model's states: pooling, dense layers, unit length.

    python Tests/Oracles/sentence_heads.py

Takes the model of Goldens/families/bert and writes Goldens/heads/dense: that model with modules.json and the modules' folders, and
expected.safetensors with ids.i and the vectors embedding.i. Goldens/heads/truncation.json: rows of two texts' lengths, a limit, and
what tokenizers leaves of each.
"""
import json
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers.models import Dense, Normalize, Pooling
from tokenizers import Tokenizer, models, pre_tokenizers

GOLDENS = pathlib.Path(__file__).resolve().parent.parent / "Goldens"
SOURCE, OUT = GOLDENS / "families" / "bert", GOLDENS / "heads" / "dense"


def main():
    torch.manual_seed(7)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(SOURCE / name, OUT / name)
    width = json.loads((OUT / "config.json").read_text())["hidden_size"]
    modules = [
        ("1_Pooling", Pooling(width, pooling_mode_cls_token=True, pooling_mode_mean_tokens=True)),
        ("2_Dense", Dense(2 * width, 24, bias=True, activation_function=torch.nn.Tanh())),
        ("3_Dense", Dense(24, 16, bias=False, activation_function=torch.nn.Identity())),
        ("4_Normalize", Normalize()),
    ]
    listed = [dict(idx=0, name="0", path="", type="sentence_transformers.models.Transformer")]
    for i, (folder, module) in enumerate(modules, 1):
        (OUT / folder).mkdir()
        module.save(str(OUT / folder))
        listed.append(dict(idx=i, name=str(i), path=folder, type=f"sentence_transformers.models.{type(module).__name__}"))
    (OUT / "modules.json").write_text(json.dumps(listed, indent=2) + "\n")
    (OUT / "config_sentence_transformers.json").write_text(json.dumps(
        dict(prompts=dict(query="query: ", document=""), default_prompt_name=None), indent=2) + "\n")
    model = transformers.AutoModel.from_pretrained(OUT, attn_implementation="eager", dtype=torch.float32).eval()
    known, expected = load_file(SOURCE / "expected.safetensors"), {}
    for i in range(2):
        ids = known[f"ids.{i}"]
        with torch.no_grad():
            states = model(input_ids=ids[None].long()).last_hidden_state
            features = dict(token_embeddings=states, attention_mask=torch.ones_like(ids)[None])
            for _, module in modules:
                features = module(features)
        expected[f"ids.{i}"] = ids
        expected[f"embedding.{i}"] = features["sentence_embedding"][0].contiguous()
    save_file(expected, OUT / "expected.safetensors")
    print({p.relative_to(OUT).as_posix(): p.stat().st_size for p in OUT.rglob("*") if p.is_file()})


def truncation():
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    rows = []
    for first, second in [(1, 9), (9, 1), (5, 5), (6, 5), (5, 6), (20, 30), (30, 20), (3, 30), (30, 3), (7, 8), (2, 2)]:
        for limit in (4, 5, 10, 11):
            tokenizer.enable_truncation(limit, strategy="longest_first")
            types = tokenizer.encode(" ".join("a" * first), " ".join("b" * second)).type_ids
            rows.append([first, second, limit, types.count(0), types.count(1)])
    (GOLDENS / "heads" / "truncation.json").write_text(json.dumps(rows) + "\n")


main()
truncation()
