"""Encodes the same texts with Martlet, tiktoken and tokenizers, one thread each, by turns, with Qwen 2's vocabulary.

  python Benchmarks/Tokenizers/compare.py VOCABULARY.gguf TEXT... [--rounds 5] [--hostile]

VOCABULARY.gguf holds Qwen 2's tokenizer (llama.cpp's ggml-vocab-qwen2.gguf will do). Needs pip install gguf tiktoken
tokenizers, and `swift build -c release --product tokenizerbench`. Times are processor time of the thread. All normalize to
NFC where Qwen 2's tokenizer.json asks for it: tiktoken has no normalizer and is given normalized text. --hostile makes
10 MB of one letter, of spaces, of combining marks and of a Chinese sentence, too, for Martlet alone beside 1 MB.
"""
import argparse, os, pathlib, re, statistics, subprocess, sys, tempfile, time, unicodedata

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import gguf, tiktoken, tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
parser = argparse.ArgumentParser()
parser.add_argument("vocabulary")
parser.add_argument("texts", nargs="*")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--hostile", action="store_true")
parser.add_argument("--build", default=".build/release")
options = parser.parse_args()


def alphabet():
    """GPT-2's spelling of bytes as characters, reversed."""
    spelling, extra = {}, 0
    for byte in range(256):
        if 33 <= byte <= 126 or 161 <= byte <= 172 or 174 <= byte <= 255:
            spelling[chr(byte)] = byte
        else:
            spelling[chr(256 + extra)] = byte
            extra += 1
    return spelling


reader = gguf.GGUFReader(options.vocabulary)
field = lambda name: reader.fields["tokenizer.ggml." + name].contents()
tokens, merges, kinds = field("tokens"), field("merges"), field("token_type")
special = [t for t, kind in zip(tokens, kinds) if kind in (3, 4) and not t.startswith("[PAD")]
vocabulary = {t: i for i, (t, kind) in enumerate(zip(tokens, kinds)) if kind == 1}
letters = alphabet()
ranks = {bytes(letters[c] for c in t): i for t, i in vocabulary.items()}
fast = tiktoken.Encoding("qwen2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
theirs = Tokenizer(models.BPE(vocabulary, [tuple(m.split(" ", 1)) for m in merges]))
theirs.normalizer = normalizers.NFC()
theirs.pre_tokenizer = pre_tokenizers.Sequence([
    pre_tokenizers.Split(Regex(PATTERN), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
theirs.decoder = decoders.ByteLevel()
theirs.add_special_tokens([AddedToken(t, special=True) for t in special])
scratch = pathlib.Path(tempfile.mkdtemp())
theirs.save(str(scratch / "tokenizer.json"))


def checksum(ids):
    value = 14695981039346656037
    for number in ids:
        value = (value ^ number) * 1099511628211 & 2**64 - 1
    return f"{value:x}"


def martlet(path, rounds):
    """MB/s of each repetition's median, and the ids' checksum."""
    out = subprocess.run([f"{options.build}/tokenizerbench", scratch / "tokenizer.json", "--text", path, "--repeat",
                          str(rounds)], capture_output=True, text=True, check=True).stdout
    return float(re.search(r"encode \S+ median ([\d.]+)", out)[1]), re.search(r"checksum (\w+)", out)[1]


def timed(encode, text):
    start = time.thread_time()
    ids = encode(text)
    return time.thread_time() - start, ids


print(f"tiktoken {tiktoken.__version__}, tokenizers {tokenizers.__version__}; MB/s, median (least to greatest)")
for path in options.texts:
    text = unicodedata.normalize("NFC", pathlib.Path(path).read_bytes().decode())
    copy = scratch / "text.txt"
    copy.write_bytes(text.encode())
    size = len(text.encode()) / 1e6
    rates = {"Martlet": [], "tiktoken": [], "tokenizers": []}
    for _ in range(options.rounds):
        rate, ours = martlet(copy, 3)
        rates["Martlet"].append(rate)
        runs = [timed(fast.encode_ordinary, text) for _ in range(3)]
        rates["tiktoken"].append(size / statistics.median(t for t, _ in runs))
        seconds, encoding = timed(theirs.encode, text)
        rates["tokenizers"].append(size / seconds)
    agree = ours == checksum(runs[0][1]) == checksum(encoding.ids)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    cells = ", ".join(f"{n} {medians[n]:.2f} ({min(v):.2f} to {max(v):.2f})" for n, v in rates.items())
    ratios = [a / b for a, b in zip(rates["Martlet"], rates["tiktoken"])]
    print(f"{path}, {size:.2f} MB: {cells}; {statistics.median(ratios):.2f} times tiktoken ({min(ratios):.2f} to "
          f"{max(ratios):.2f}), {medians['Martlet'] / medians['tokenizers']:.1f} times tokenizers; ids "
          f"{'agree' if agree else 'DIFFER'}", flush=True)

if options.hostile:
    units = {"one letter": "a", "spaces": " ", "combining marks": "\u0301\u0323", "newlines": "\n",
             "a Chinese sentence": "燕子飞过山，从不落地。"}
    for name, unit in units.items():
        rates = []
        for size in (1_000_000, 10_000_000):
            copy.write_bytes((unit * (size // len(unit.encode()))).encode())
            rates.append(martlet(copy, 1)[0])
        print(f"{name}: {rates[0]:.2f} MB/s over 1 MB, {rates[1]:.2f} MB/s over 10 MB", flush=True)
