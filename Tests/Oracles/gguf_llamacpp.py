"""Every architecture that Martlet writes as GGUF, opened by llama.cpp and held against transformers.

    OMP_NUM_THREADS=2 python Tests/Oracles/gguf_llamacpp.py [--martlet PROGRAM] [NAME ...]

For each tiny random model (those of Tests/Goldens/families, and a few that are made here since GGUF cannot say what their golden
has) `martlet export --to_gguf true` writes a file; llama.cpp (cyllama) reads it in a process of its own. Prints a row of the table
in Documentation/Files-and-formats.md: the largest difference of a logit (or of an encoder's state) over all tokens of a prompt, as a
share of the largest one, how many tokens have the same likeliest next one, and how many of 32 greedy ids are those of transformers.
A tokenizer is compared by the ids of the texts of Tests/Goldens/tokenizers/parts.
"""
import contextlib
import io
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
GOLDENS = HERE.parent / "Goldens"
STEPS = 32
GOLDEN = """llama llama-tied llama-bias llama-mha llama-rope-llama3 llama-rope-linear llama-rope-yarn mistral mistral-head-dim mixtral qwen
qwen2 qwen2-tied qwen2-yarn qwen2_moe qwen3 qwen3-untied qwen3_moe gemma phi3 phi3-longrope-short phi3-longrope-long
phi3-partial-rotary olmo olmo-clip olmo2 olmoe cohere cohere2 minicpm internlm2 glm4
deepseek_v3 gpt2 bert xlm_roberta""".split()
TOKENIZERS = "bpe-qwen2 bpe-llama3 bpe-gpt2 bpe-llama2 wordpiece-uncased unigram-map".split()


def made():
    """Models whose goldens have what GGUF cannot say, or that have none."""
    from family_configs import BASE, COHERE, DEEPSEEK2, GEMMA, GEMMA3, YARN_DEEPSEEK, merge
    return {
        "gemma2": merge(GEMMA, dict(
            architectures=["Gemma2ForCausalLM"], model_type="gemma2", query_pre_attn_scalar=16, sliding_window=6,
            attn_logit_softcapping=20.0, final_logit_softcapping=30.0)),
        "gemma3": merge(GEMMA3, dict(sliding_window_pattern=6, num_hidden_layers=6)),
        "cohere2-four": merge(COHERE, dict(
            architectures=["Cohere2ForCausalLM"], model_type="cohere2", num_hidden_layers=4, sliding_window=6,
            sliding_window_pattern=4)),
        # It knows no windows of StarCoder 2, and norms of Cohere's queries and keys by its 64 layers.
        "starcoder2": merge(BASE, dict(
            architectures=["Starcoder2ForCausalLM"], model_type="starcoder2", hidden_act="gelu_pytorch_tanh", tie_word_embeddings=True,
            norm_epsilon=1e-5, norm_type="layer_norm", mlp_type="default", use_bias=True, sliding_window=None)),
        "cohere-qk-norm": merge(COHERE, dict(use_qk_norm=True, num_hidden_layers=64)),
        # It chooses groups of experts as DeepSeek V3 does in V2 as well, and knows V2 Lite by its 27 layers.
        "deepseek_v2": merge(DEEPSEEK2, YARN_DEEPSEEK, dict(q_lora_rank=24, n_routed_experts=8, routed_scaling_factor=4.0)),
        "deepseek_v2-lite": merge(DEEPSEEK2, dict(num_hidden_layers=27)),
    }


def make(name, directory):
    """A tiny model below `directory`."""
    import families
    from families import LM, build, transformers
    transformers.utils.logging.disable_progress_bar()
    # Of the deep ones every continuation comes near a tie.
    families.NO_GREEDY = [*families.NO_GREEDY, "cohere-qk-norm", "deepseek_v2-lite"]
    with contextlib.redirect_stdout(io.StringIO()):
        if not name.startswith("chatglm"):
            return build(name, made()[name], LM, directory / name)
        # The goldens' heads are wider together than the model, which llama.cpp does not know.
        import remote_families as remote
        source, config, mapping, change = remote.VARIANTS[name]
        remote.VARIANTS[name] = remote.merge(source, dict(head_dim=8)), remote.merge(config, dict(kv_channels=8)), mapping, change
        remote.ROOT = directory
        remote.build(name)


def export(program, source, target):
    done = subprocess.run(
        [program, "export", "--model", str(source), "--to_gguf", "true", "--output_dir", str(target)], capture_output=True, text=True)
    file = target / "model.gguf"
    if not file.exists():
        raise SystemExit(f"not written: {(done.stderr or done.stdout).strip()[-300:]}")
    return file


def open_file(file, embeddings):
    from cyllama.llama import llama_cpp as cpp
    from real_models import LlamaCpp, Model
    if not embeddings:
        # Within the trained length of the models that turn by other factors beyond it.
        return LlamaCpp(file, 256)
    cpp.disable_logging()
    options = cpp.LlamaModelParams()
    options.n_gpu_layers = 0
    engine = LlamaCpp.__new__(LlamaCpp)
    engine.model = Model(str(file), options)
    engine.vocabulary = engine.model.get_vocab()
    settings = cpp.LlamaContextParams()
    settings.n_ctx = settings.n_batch = settings.n_ubatch = 64
    settings.embeddings, settings.pooling_type, settings.flash_attn_type = True, 0, 0
    engine.context = cpp.LlamaContext(engine.model, settings)
    return engine


def states(engine, ids):
    from cyllama.llama import llama_cpp as cpp
    batch = cpp.LlamaBatch(n_tokens=len(ids), embd=0, n_seq_max=1)
    for i, token in enumerate(ids):
        batch.add(token, i, [0], True)
    if engine.context.encode(batch):
        raise SystemExit("llama.cpp could not encode")
    return np.array([engine.context.get_embeddings_ith(i) for i in range(len(ids))], dtype=np.float64)


def wanted(directory):
    from safetensors.numpy import load_file
    return load_file(directory / "expected.safetensors")


def model(program, name, directory):
    """One row, in a process of its own: llama.cpp ends the process where a file is not to its liking."""
    expected = wanted(directory)
    ids = expected["ids.0"].tolist()
    with tempfile.TemporaryDirectory() as scratch:
        engine = open_file(export(program, directory, pathlib.Path(scratch) / "out"), "hidden.0" in expected)
        if "hidden.0" in expected:
            found, want = states(engine, ids), expected["hidden.0"].astype(np.float64)
        else:
            found, want = engine.all_logits(ids), expected["logits.0"].astype(np.float64)
        greedy = []
        if "greedy" in expected and "hidden.0" not in expected:
            engine.context.kv_cache_clear()
            step, at = engine.run(ids, 0)[-1], len(ids)
            while len(greedy) < STEPS:
                greedy.append(int(step.argmax()))
                step, at = engine.run(greedy[-1:], at)[-1], at + 1
    difference = np.abs(found - want).max() / np.abs(want).max()
    agree = int((found.argmax(-1) == want.argmax(-1)).sum())
    same = next((i for i, pair in enumerate(zip(greedy, expected.get("greedy", []))) if pair[0] != pair[1]), len(greedy))
    ending = f"{same} of {STEPS}" if greedy else ""
    print(f"| {name} | {difference:.1e} | {agree} of {len(ids)} | {ending} |", flush=True)
    if difference > 2e-3 or agree < len(ids) or (greedy and same < STEPS):
        raise SystemExit(1)


def tokenizer(program, name):
    """Ids of texts by llama.cpp, from a file with the tokenizer of a golden in it, against those of the tokenizers library."""
    golden = json.loads((GOLDENS / "tokenizers" / "parts" / "expected.json").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        source = pathlib.Path(scratch) / "source"
        source.mkdir()
        for file in ("config.json", "model.safetensors"):
            (source / file).symlink_to(GOLDENS / "families" / "llama" / file)
        document = GOLDENS / "tokenizers" / "parts" / f"{name}.json"
        (source / "tokenizer.json").symlink_to(document)
        # A model of this vocabulary's size.
        enlarge(source, json.loads(document.read_text()))
        engine = open_file(export(program, source, pathlib.Path(scratch) / "out"), False)
        rows, other, count = golden["tokenizers"][name]["rows"], [], 0
        for text, row in zip(golden["strings"], rows):
            if "\0" in text:
                continue
            count += 1
            ids = list(engine.vocabulary.tokenize(text, True, True))
            if ids != row.get("special", row["ids"]):
                other.append(text)
    print(f"| tokenizer {name} | {count - len(other)} of {count} texts | {' '.join(map(repr, other))} |", flush=True)


def enlarge(directory, document):
    from safetensors.numpy import load_file, save_file
    vocabulary = document["model"]["vocab"]
    count = max([len(vocabulary)] + [token["id"] + 1 for token in document["added_tokens"]])
    config = json.loads((directory / "config.json").read_text())
    tensors = load_file(directory / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = np.resize(tensors[name], (count, tensors[name].shape[1]))
    for file in ("config.json", "model.safetensors"):
        (directory / file).unlink()
    (directory / "config.json").write_text(json.dumps(dict(config, vocab_size=count)))
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


def main(arguments):
    program = str(HERE.parent.parent / ".build" / "release" / "martlet")
    if "--martlet" in arguments:
        at = arguments.index("--martlet")
        program = arguments[at + 1]
        del arguments[at:at + 2]
    if arguments[:1] == ["--one"]:
        return model(program, arguments[1], pathlib.Path(arguments[2]))
    if arguments[:1] == ["--tokenizer"]:
        return tokenizer(program, arguments[1])
    own = list(made()) + ["chatglm", "chatglm4"]
    names = arguments or GOLDEN + own + TOKENIZERS
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            if name in TOKENIZERS:
                rest = ["--tokenizer", name]
            elif name in own:
                make(name, pathlib.Path(scratch))
                rest = ["--one", name, str(pathlib.Path(scratch) / name)]
            else:
                rest = ["--one", name, str(GOLDENS / "families" / name)]
            done = subprocess.run([sys.executable, __file__, "--martlet", program] + rest, capture_output=True, text=True)
            print(done.stdout, end="", flush=True)
            if done.returncode:
                failed.append(name)
                print(f"{name}: status {done.returncode}; {done.stderr.strip()[-600:]}", flush=True)
    if failed:
        raise SystemExit(f"failed: {' '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
