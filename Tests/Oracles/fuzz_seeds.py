"""Makes the seeds below Tests/Fuzz/Corpus that no other golden file gives: pip install gguf sentencepiece zstandard numpy.

What was found by fuzzing stands beside them under names that begin with "found"; it is kept.
"""
import base64, gzip, io, json, pathlib, random, sys

import gguf
import numpy as np
import sentencepiece
import zstandard

from tokenizer_parts import characters_map, mapped_model

root = pathlib.Path(__file__).parent.parent / "Fuzz" / "Corpus"


def put(path, data):
    path = root / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def gguf_file(name, architecture, tokenizer):
    path = root / "gguf" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    w = gguf.GGUFWriter(str(path), architecture)
    w.add_context_length(64), w.add_embedding_length(8), w.add_block_count(1), w.add_feed_forward_length(16)
    w.add_head_count(2), w.add_head_count_kv(1), w.add_layer_norm_rms_eps(1e-5), w.add_rope_freq_base(1e4)
    w.add_rope_dimension_count(4), w.add_key_length(4), w.add_value_length(4)
    tokens, types, extra = tokenizer
    w.add_token_list(tokens), w.add_token_types(types)
    extra(w)
    w.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")
    r = np.random.default_rng(1)
    n = len(tokens)
    t = lambda *shape: r.standard_normal(shape).astype(np.float32).astype(np.float16)
    for key, shape in {
        "token_embd.weight": (n, 8), "output_norm.weight": (8,), "blk.0.attn_norm.weight": (8,),
        "blk.0.attn_q.weight": (8, 8), "blk.0.attn_k.weight": (4, 8), "blk.0.attn_v.weight": (4, 8),
        "blk.0.attn_output.weight": (8, 8), "blk.0.ffn_norm.weight": (8,), "blk.0.ffn_up.weight": (16, 8),
        "blk.0.ffn_gate.weight": (16, 8), "blk.0.ffn_down.weight": (8, 16),
    }.items():
        w.add_tensor(key, t(*shape))
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()


def bpe(w):
    w.add_tokenizer_model("gpt2"), w.add_tokenizer_pre("qwen2"), w.add_token_merges(["a b", "ab c", "Ġ a"])
    w.add_bos_token_id(0), w.add_eos_token_id(1)


def spm(w):
    w.add_tokenizer_model("llama"), w.add_token_scores([-float(i) for i in range(270)])
    w.add_bos_token_id(1), w.add_eos_token_id(2), w.add_unk_token_id(0), w.add_add_bos_token(True)


def bert(w):
    w.add_tokenizer_model("bert"), w.add_bos_token_id(1), w.add_sep_token_id(2), w.add_unk_token_id(0)


def unigram(w):
    w.add_tokenizer_model("t5"), w.add_token_scores([-float(i) for i in range(16)])
    w.add_bos_token_id(0), w.add_eos_token_id(2), w.add_unk_token_id(3), w.add_add_bos_token(True)
    w.add_add_space_prefix(True), w.add_remove_extra_whitespaces(True), w.add_precompiled_charsmap(characters_map())


letters = ["<s>", "</s>"] + list("abcdeHlowrd Ġ") + ["ab", "abc", "Ġa"]
gguf_file("bpe.gguf", "qwen2", (letters, [3, 3] + [1] * (len(letters) - 2), bpe))
pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)] + list("▁abcHelo") + ["▁a", "ab", "lo"]
gguf_file("spm.gguf", "llama", (pieces[:270], [2, 3, 3] + [6] * 256 + [1] * 11, spm))
words = ["[UNK]", "[CLS]", "[SEP]", "▁the", "s", "▁hello"]
gguf_file("wordpiece.gguf", "bert", (words, [3, 3, 3, 1, 1, 1], bert))
pieces = ["<s>", "<pad>", "</s>", "<unk>", "<img>"] + list("▁abcHelo") + ["▁a", "ab", "lo"]
gguf_file("unigram.gguf", "gpt2", (pieces, [3, 3, 3, 2, 4] + [1] * 11, unigram))

sentences = [
    "The martlet flies over the hills and never lands.", "It is a bird without feet, they say; it lives on the wing.",
    "When the rain comes it goes higher, and the hills below it are wet.", "你好，世界。燕子飞过山。", "Numbers: 12, 345, 6789.",
] * 8
for kind in ["unigram", "bpe"]:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=model, vocab_size=380, model_type=kind,
        byte_fallback=True, hard_vocab_limit=False, user_defined_symbols="<img>", normalization_rule_name="identity", num_threads=1)
    put(f"sentencepiece/{kind}.model", model.getvalue())
model = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(sentences), model_writer=model, vocab_size=120, model_type="unigram",
    normalization_rule_name="nmt_nfkc", num_threads=1, hard_vocab_limit=False)
put("sentencepiece/nfkc.model", model.getvalue()[:60000] if len(model.getvalue()) <= 60000 else b"")
(root / "sentencepiece/nfkc.model").stat().st_size or (root / "sentencepiece/nfkc.model").unlink()

put("sentencepiece/map.model", mapped_model())

ranks = [bytes([i]) for i in range(256)] + [b"ab", b"abc", b" the", "你".encode()]
put("wordlist/qwen.tiktoken", "".join(f"{base64.b64encode(t).decode()} {i}\n" for i, t in enumerate(ranks)))
put("wordlist/vocab.txt", "[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\nthe\n##s\nhello\n,\n##llo\nhe\nbird\n'\n")
tekken = {
    "config": {"pattern": "\\p{L}+|\\p{N}|.", "default_vocab_size": 300, "default_num_special_tokens": 20},
    "vocab": [{"rank": i, "token_bytes": base64.b64encode(t).decode(), "token_str": None} for i, t in enumerate(ranks)],
    "special_tokens": [{"rank": 0, "token_str": "<unk>", "is_control": True}],
}
put("tekken/tekken.json", json.dumps(tekken))
alphabet = {c: i for i, c in enumerate("!\"#$%&'()*+,-./0123456789ĠĊabcdefghijklmnopqrstuvwxyzH")}
alphabet |= {"he": 100, "Ġhe": 101, "ll": 102, "<|end|>": 103}
put("merges/bpe.txt", json.dumps(alphabet, ensure_ascii=False) + "\n#version: 0.2\nh e\nl l\nĠ he\n")
put("settings/full.json", json.dumps({
    "add_bos_token": True, "add_eos_token": False, "bos_token": {"content": "<s>", "lstrip": False}, "eos_token": "end",
    "unk_token": "<unk>", "added_tokens_decoder": {"3": {"content": "<s>", "special": True, "rstrip": True}},
    "additional_special_tokens": ["<a>"], "clean_up_tokenization_spaces": True, "model_max_length": 1000000000000,
    "tokenizer_class": "LlamaTokenizer", "chat_template": "{{ messages[0].content }}"}))
put("settings/plain.json", json.dumps({"eos_token": "end", "tokenizer_class": "PreTrainedTokenizerFast"}))
put("index/two.index.json", json.dumps(
    {"metadata": {"total_size": 4}, "weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}))
put("json/all.json", json.dumps(
    {"a": [1, -2.5e-3, 1e308, None, True, {"é\n\u0001": "𝄞"}], "": {}, "n": 2**63 - 1, "deep": [[[[[]]]]]}))

rows = [{"messages": [{"role": "user", "content": f"q é{i}"}, {
    "role": "assistant", "content": [{"type": "text", "text": "a"}], "loss": True}], "tools": "[]"} for i in range(4)]
rows += [{"conversations": [{"from": "human", "value": "q"}], "chosen": {"from": "gpt", "value": "x"}, "rejected": "y"},
         {"query": "q", "response": "r", "history": [["a", "b"]], "images": ["x.png"], "label": True},
         {"instruction": "i", "input": "n", "output": "o"}]
lines = "".join(json.dumps(row) + "\n" for row in rows)
put("jsonl/rows.jsonl", lines)
put("array/rows.json", json.dumps({"about": [1, 2], "data": rows}))
put("array/plain.json", json.dumps(rows, indent=1))
put("csv/rows.csv", "system,query,response,history\n" + 's,"q ""1""\nmore",r,"[[""a"",""b""]]"\r\n' * 4)
put("csv/rows.tsv", "instruction\tinput\toutput\n" + 'i\t\t"o"\n' * 4)
put("gzip/rows.jsonl.gz", gzip.compress(lines.encode(), mtime=0))
put("gzip/rows.jsonl.zst", zstandard.ZstdCompressor().compress(lines.encode()))
put("yaml/run.yaml", "model: a/b\nlearning_rate: 1e-4\nlist: [1, 'two', \"th\\u00e9\", ~]\nmap: &m {a: 1, b: {c: no}}\n"
    "again: *m\ntext: |\n  one\n  two\nfold: >-\n  one\n  two\n? complex\n: yes\n...\n")

cases = json.loads((root.parent.parent / "TemplateTests" / "Goldens" / "jinja.json").read_text())["cases"]
random.seed(1)
chosen = [c["template"] for c in random.sample([c for c in cases if "text" in c], 96)]
for i in range(8):
    put(f"template/golden-{i}.jinja", "\n".join(chosen[12 * i:12 * i + 12]))
