"""Published GGUF models in f32, by llama.cpp and by transformers.

    OMP_NUM_THREADS=2 python Tests/Oracles/real_models.py NAME FILE.gguf [TEXT.gz]

Every tensor of the file is decoded to f32 (gguf's NumPy decoders) and written to a scratch GGUF; llama.cpp (cyllama) runs
that with f32 keys and values, and transformers loads the original file its own way. Both must agree. So the answers belong
to the file's weights exactly, not to one engine's rounding of activations. Writes Tests/Goldens/real/NAME.json:

- greedy: prompts (special tokens recognised), their ids, 64 ids by argmax (less where the model ends), top-1 less top-2 of each
  step, text, and the eight largest logits of the first step with their log-probabilities;
- nll: over ids of the beginning of TEXT (WikiText-2 test in our runs), the whole read in one pass: minus log-probability of each
  id from the second on, and the perplexity; "agreement" has the largest differences between the two engines.
"""
import gzip
import hashlib
import json
import math
import pathlib
import sys
import tempfile

import gguf
import numpy as np
import torch
import transformers
from cyllama.llama import llama_cpp as cpp

OUT = pathlib.Path(__file__).resolve().parent.parent / "Goldens" / "real"
STEPS, CHARACTERS = 64, 2400
PLAIN = ["The capital of France is", "Once upon a time", "def fibonacci(n):\n"]
CHATML = [
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nWhat is 2 + 2? Answer with one number."
    "<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nName three colours of the rainbow and say "
    "which one you like.<|im_end|>\n<|im_start|>assistant\n",
]
BASE = ["Water boils at a temperature of", "The three primary colours are"]


def decode(source, target):
    """The same GGUF with every tensor in f32."""
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        kind = field.types[0]
        if name == "general.file_type":
            writer.add_key_value(name, int(gguf.LlamaFileType.ALL_F32), kind)
        elif kind == gguf.GGUFValueType.ARRAY:
            writer.add_key_value(name, field.contents(), kind, field.types[-1])
        else:
            writer.add_key_value(name, field.contents(), kind)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, values.reshape([int(n) for n in reversed(tensor.shape)]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Model(cpp.LlamaModel):
    """cyllama's context asks its model for n_vocab when it copies logits."""

    @property
    def n_vocab(self):
        return self.get_vocab().n_vocab


class LlamaCpp:
    def __init__(self, path, positions=1024):
        cpp.disable_logging()
        options = cpp.LlamaModelParams()
        options.n_gpu_layers = 0
        self.model = Model(str(path), options)
        self.vocabulary = self.model.get_vocab()
        settings = cpp.LlamaContextParams()
        settings.n_ctx = settings.n_batch = settings.n_ubatch = positions
        settings.type_k = settings.type_v = 0  # f32
        settings.flash_attn_type = 0
        settings.n_threads = settings.n_threads_batch = 2
        self.context = cpp.LlamaContext(self.model, settings)

    def run(self, ids, start, every=False):
        batch = cpp.LlamaBatch(n_tokens=len(ids), embd=0, n_seq_max=1)
        for i, token in enumerate(ids):
            batch.add(token, start + i, [0], every or i == len(ids) - 1)
        if self.context.decode(batch):
            raise SystemExit("llama.cpp could not decode")
        rows = range(len(ids)) if every else [len(ids) - 1]
        return np.array([self.context.get_logits_ith(i) for i in rows], dtype=np.float64)

    def greedy(self, ids):
        self.context.kv_cache_clear()
        logits, out, gaps = self.run(ids, 0)[-1], [], []
        first = logits
        while True:
            best = np.argpartition(logits, -2)[-2:]
            best = best[np.argsort(-logits[best])]
            out.append(int(best[0]))
            gaps.append(float(logits[best[0]] - logits[best[1]]))
            if len(out) == STEPS or self.vocabulary.is_eog(out[-1]):
                return out, gaps, first
            logits = self.run([out[-1]], len(ids) + len(out) - 1)[-1]

    def all_logits(self, ids):
        self.context.kv_cache_clear()
        return self.run(ids, 0, every=True)


def log_softmax(logits):
    top = logits.max(-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))


def main(name, source, text=None):
    source = pathlib.Path(source)
    with tempfile.TemporaryDirectory() as scratch:
        plain = pathlib.Path(scratch) / "f32.gguf"
        decode(source, plain)
        engine = LlamaCpp(plain)
        hf = transformers.AutoModelForCausalLM.from_pretrained(
            str(source.parent), gguf_file=source.name, dtype=torch.float32, attn_implementation="eager").eval()
        prompts = PLAIN + (CHATML if engine.vocabulary.tokenize(CHATML[0], False, True)[0] > 0 and "gemma" not in name else BASE)
        greedy, worst, agreed = [], 0.0, 0
        for prompt in prompts:
            ids = engine.vocabulary.tokenize(prompt, True, True)
            out, gaps, first = engine.greedy(ids)
            with torch.no_grad():  # the second engine reads prompt and answer in one pass
                second = hf(input_ids=torch.tensor([ids + out])).logits[0].double().numpy()
            picks = second[len(ids) - 1:-1].argmax(-1).tolist()
            worst = max(worst, float(np.abs(second[len(ids) - 1] - first).max()))
            for step, (a, b) in enumerate(zip(out, picks)):
                assert a == b or gaps[step] < 2e-3, (prompt, step, a, b, gaps[step])
            agreed += sum(a == b for a, b in zip(out, picks))
            top = np.argsort(-first)[:8]
            logp = log_softmax(first)
            greedy.append(dict(
                prompt=prompt, prompt_ids=ids, greedy_ids=out, gap=[round(g, 5) for g in gaps],
                text=engine.vocabulary.detokenize(out, 4096, False, True),
                first_step_top=[[int(i), round(float(first[i]), 5), round(float(logp[i]), 6)] for i in top]))
            print(repr(prompt[-30:]), repr(greedy[-1]["text"][:60]), "smallest gap", round(min(gaps), 4), flush=True)
        result = dict(
            file=source.name, sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
            engines="llama.cpp of cyllama 0.2.18 on tensors decoded to f32, f32 KV; transformers 5.23.0 f32", greedy=greedy)
        agreement = dict(first_step_logits=worst, greedy_ids=f"{agreed} of {sum(len(g['greedy_ids']) for g in greedy)}")
        if text:
            sample = gzip.open(text, "rt", encoding="utf-8").read(CHARACTERS)
            ids = engine.vocabulary.tokenize(sample, True, False)
            with torch.no_grad():
                second = hf(input_ids=torch.tensor([ids])).logits[0].double().numpy()
            nlls = []
            for logits in (engine.all_logits(ids), second):
                nlls.append(-log_softmax(logits[:-1])[np.arange(len(ids) - 1), ids[1:]])
            agreement["nll"] = float(np.abs(nlls[0] - nlls[1]).max())
            result["nll"] = dict(
                text=f"first {CHARACTERS} characters of {pathlib.Path(text).parent.name}/{pathlib.Path(text).name}",
                ids=ids, nll=[round(float(v), 5) for v in nlls[0]], mean=float(nlls[0].mean()),
                perplexity=math.exp(nlls[0].mean()), perplexity_transformers=math.exp(nlls[1].mean()))
            print(len(ids), "ids, perplexity", result["nll"]["perplexity"], result["nll"]["perplexity_transformers"])
        result["agreement"] = agreement
        print(agreement)
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / f"{name}.json").write_text(json.dumps(result, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    transformers.utils.logging.set_verbosity_error()
    main(*sys.argv[1:])
