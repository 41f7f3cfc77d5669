"""Small tokenizer.json files, one for each combination of parts that released tokenizers use, and what they give.

    python Tests/Oracles/tokenizer_parts.py

Vocabularies are trained by the tokenizers library on the text below, which was written for this. Writes
Tests/Goldens/tokenizers/parts/<name>.json (a tokenizer.json) and expected.json: for every file and string the ids with and without
special tokens, and the text that the ids decode to with and without special tokens; for pairs of strings the ids and type ids.
Training breaks ties by chance, so a tokenizer.json that is there is kept: delete it to train anew. For
"pre-..." there are the pieces that the text is cut into, for "normal-..." the normalized text.
"""
import io
import json
import pathlib
import random
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from random_text import strings

OUT = pathlib.Path(__file__).resolve().parent.parent / "Goldens" / "tokenizers" / "parts"
TEXT = """The martlet is a small bird that never lands. It flies over hills, rivers and towns; it sleeps on the wing.
"Where do you go?" asked the child. "I'm going where they've never been," said the bird, "and I'll be back by 10:45."
Numbers such as 1, 12, 123, 1234 and 3.14159 are written with digits; so is 2026-11-23. E-mail: bird@example.org!
def fly(height: int) -> str:\n    return "up" if height > 0 else "down"\n\nfor i in range(10):\n\tprint(fly(i))
Die Vögel fliegen über die Straße. Où est l'été? El niño comió piñas. Żółw je śniadanie. Привет, мир! Γειά σου Κόσμε.
小鸟飞过山川和城市。今天天气很好,我们去公园吧。東京は大きな町です。안녕하세요 세계. नमस्ते दुनिया 🐦🎉
"""
STRINGS = [
    "", " ", "  ", "\n", "\t\n ", "The bird", " The bird", "  The  bird ", "the martlet never lands", "THE MARTLET", "I'm they've I'LL",
    "1 12 123 1234 12345", "3.14159", "2026-11-23", "a.b,c;d!e?f", "(x) [y] {z}", "--- ... !!!", "über die Straße", "OÙ EST L'ÉTÉ",
    "ﬁne ① ½ Ⅷ", "e\u0301 A\u030a", "Żółw", "Привет мир", "小鸟飞过山川", "東京です", "안녕", "नमस्ते", "🐦🎉 👨\u200d👩\u200d👧", "a\u00a0b\u3000c\u200bd", "x\ny\r\nz",
    "<s> hi </s>", "<pad><mask>", "hello<mask>world", "hello <mask> world", "hi <user>there", "xKEYx KEY key", "[CLS] a [SEP]", "▁a▁b", "\u0120a",
    "    return up", "unknown \U00012345 glyph", "wing.wing", "wings", "flying flew", "\x00\x07control\x7f", "ZZZZZZZZZZZZZZ",
]
PAIRS = [["The bird", "It flies"], ["", "x"], ["a b c", ""]]
SPECIAL = ["<s>", "</s>", "<pad>", "<unk>", "<mask>"]


def trained(model, trainer, normalizer=None, pre=None, decoder=None, post=None, added=()):
    tokenizer = Tokenizer(model)
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre:
        tokenizer.pre_tokenizer = pre
    tokenizer.train_from_iterator(TEXT.split("\n") + [TEXT], trainer)
    if decoder:
        tokenizer.decoder = decoder
    if post:
        tokenizer.post_processor = post(tokenizer)
    if added:
        tokenizer.add_tokens([a for a in added if not a.special])
        tokenizer.add_special_tokens([a for a in added if a.special])
    return tokenizer


def bpe(size=330, model=None, special=SPECIAL, **options):
    alphabet = pre_tokenizers.ByteLevel.alphabet() if options.pop("bytes", False) else []
    return dict(model=models.BPE(**(model or {})), trainer=trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False, **options))


def template(single, pair):
    def make(tokenizer):
        names = {t for t in f"{single} {pair}".replace(":0", "").replace(":1", "").split() if not t.startswith("$")}
        return processors.TemplateProcessing(single=single, pair=pair, special_tokens=[(n, tokenizer.token_to_id(n)) for n in sorted(names)])
    return make


def byte_fallback():
    """A model that spells unknown characters in bytes; the trainer cannot make one, so its bytes are special at training."""
    return [f"<0x{i:02X}>" for i in range(256)]


def with_model(tokenizer, **changes):
    value = json.loads(tokenizer.to_str())
    value["model"].update(changes)
    value["added_tokens"] = [t for t in value["added_tokens"] if not t["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(value))


def mapped_model():
    """A unigram model by SentencePiece with a map of characters: spaces, full-width letters, ligatures and marks."""
    rules = {(c,): (0x20,) for c in (0x09, 0x0A, 0x0D, 0xA0, 0x3000)}
    rules.update({(0xFF21 + i,): (0x41 + i,) for i in range(26)})
    rules.update({(0xFB01,): (0x66, 0x69), (0x2460,): (0x31,), (0xBD,): (0x31, 0x2044, 0x32), (0x65, 0x301): (0xE9,), (0x212B,): (0xC5,)})
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        for source, target in rules.items():
            file.write(" ".join(f"{c:X}" for c in source) + "\t" + " ".join(f"{c:X}" for c in target) + "\n")
        file.flush()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXT.split("\n")), model_writer=model, vocab_size=200, model_type="unigram", hard_vocab_limit=False,
            normalization_rule_tsv=file.name, minloglevel=2)
    return model.getvalue()


def characters_map():
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(mapped_model())
    return proto.normalizer_spec.precompiled_charsmap


GPT4 = (r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""")
PRE = {  # pre-tokenizers that only cut, each over characters
    "whitespace": lambda: pre_tokenizers.Whitespace(), "whitespace-split": lambda: pre_tokenizers.WhitespaceSplit(),
    "digits": lambda: pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(individual_digits=False)]),
    "digits-each": lambda: pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(individual_digits=True)]),
    "bert": lambda: pre_tokenizers.BertPreTokenizer(), "delimiter": lambda: pre_tokenizers.CharDelimiterSplit("-"),
    "scripts": lambda: pre_tokenizers.UnicodeScripts(),
    **{f"punctuation-{b}": lambda b=b: pre_tokenizers.Punctuation(b) for b in (
        "isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous")},
    **{f"split-{b}{'-inverted' if inverted else ''}": lambda b=b, inverted=inverted: pre_tokenizers.Split(Regex(r"[aeiou]+|\s"), b, inverted)
       for b in ("isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous") for inverted in (False, True)},
    "split-text": lambda: pre_tokenizers.Split(" ", "merged_with_next"),
}
NORMAL = {
    "nfc": normalizers.NFC(), "nfd": normalizers.NFD(), "nfkc": normalizers.NFKC(), "nfkd": normalizers.NFKD(),
    "lowercase": normalizers.Lowercase(), "strip": normalizers.Strip(True, True), "strip-left": normalizers.Strip(True, False),
    "strip-accents": normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]), "nmt": normalizers.Nmt(),
    "replace": normalizers.Replace("bird", "fish"), "replace-regex": normalizers.Replace(Regex(r"\s+"), " "),
    "prepend": normalizers.Prepend("_"), "bert": normalizers.BertNormalizer(),
    "bert-cased": normalizers.BertNormalizer(lowercase=False, strip_accents=True, handle_chinese_chars=False, clean_text=True),
}


def tokenizers():
    byte_decoder = decoders.ByteLevel()
    yield "bpe-gpt2", trained(**bpe(520, bytes=True, special=["<s>", "</s>"]), pre=pre_tokenizers.ByteLevel(add_prefix_space=False),
                              decoder=byte_decoder)
    yield "bpe-roberta", trained(
        **bpe(520, bytes=True), pre=pre_tokenizers.ByteLevel(add_prefix_space=True), decoder=byte_decoder,
        post=lambda t: processors.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>"))),
        added=[AddedToken("<mask>", lstrip=True, special=True)])
    cut = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(GPT4), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)])
    llama3 = trained(**bpe(520, bytes=True), pre=cut, decoder=byte_decoder, post=template("<s> $A", "<s> $A <s> $B:1"))
    yield "bpe-llama3", llama3
    value = json.loads(llama3.to_str())
    value["model"]["ignore_merges"] = True
    value["model"]["merges"] = value["model"]["merges"][:-80]  # words that only the vocabulary knows whole
    yield "bpe-ignore-merges", Tokenizer.from_str(json.dumps(value))
    yield "bpe-qwen2", trained(**bpe(520, bytes=True, special=[]), normalizer=normalizers.NFC(), pre=cut, decoder=byte_decoder, added=[
        AddedToken("<|end|>", special=True, normalized=False), AddedToken("<tool>", special=False, normalized=False)])
    llama2 = trained(
        **bpe(640, special=["<unk>", "<s>", "</s>"] + byte_fallback(), model=dict(unk_token="<unk>", fuse_unk=True, byte_fallback=True)),
        normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
        decoder=decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
        post=template("<s> $A", "<s> $A <s>:1 $B:1"))
    yield "bpe-llama2", with_model(llama2)
    for scheme in ("always", "first", "never"):
        for split in (True, False):
            yield f"bpe-metaspace-{scheme}-{'split' if split else 'whole'}", trained(
                **bpe(300, model=dict(unk_token="<unk>", fuse_unk=scheme == "first")), pre=pre_tokenizers.Metaspace("▁", scheme, split),
                decoder=decoders.Metaspace("▁", scheme, split), added=[AddedToken("<user>", special=True)])
    yield "bpe-clip", trained(
        **bpe(360, special=["<unk>", "<s>", "</s>"], end_of_word_suffix="</w>", model=dict(end_of_word_suffix="</w>", unk_token="<unk>")),
        normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]),
        pre=pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", True),
        decoder=decoders.BPEDecoder("</w>"), post=template("<s> $A </s>", "<s> $A </s> $B </s>"))
    yield "bpe-continuing", trained(
        **bpe(340, special=["<unk>"], continuing_subword_prefix="##", model=dict(unk_token="<unk>", continuing_subword_prefix="##")),
        pre=pre_tokenizers.Whitespace(), decoder=decoders.WordPiece("##"))
    bert = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    for name, options in [("uncased", {}), ("cased", dict(lowercase=False)), ("plain", dict(handle_chinese_chars=False, strip_accents=False))]:
        yield f"wordpiece-{name}", trained(
            models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=12), trainers.WordPieceTrainer(
                vocab_size=330, special_tokens=bert, show_progress=False),
            normalizer=normalizers.BertNormalizer(**options), pre=pre_tokenizers.BertPreTokenizer(),
            decoder=decoders.WordPiece("##", cleanup=name != "cased"),
            post=lambda t: processors.BertProcessing(("[SEP]", t.token_to_id("[SEP]")), ("[CLS]", t.token_to_id("[CLS]"))))
    for fallback in (False, True):
        special = ["<unk>", "<s>", "</s>"] + (byte_fallback() if fallback else [])
        unigram = trained(
            models.Unigram(), trainers.UnigramTrainer(vocab_size=240 + 256 * fallback, special_tokens=special, unk_token="<unk>", show_progress=False),
            normalizer=normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]),
            pre=pre_tokenizers.Metaspace("▁", "always", True),
            decoder=decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace("▁", "always", True)]) if fallback else
            decoders.Metaspace("▁", "always", True), post=template("$A </s>", "$A </s> $B </s>"))
        yield f"unigram{'-bytes' if fallback else ''}", with_model(unigram, byte_fallback=fallback)
    yield "unigram-map", trained(
        models.Unigram(), trainers.UnigramTrainer(
            vocab_size=240, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False),
        normalizer=normalizers.Sequence([
            normalizers.Precompiled(characters_map()), normalizers.Strip(False, True), normalizers.Replace(Regex(" {2,}"), " ")]),
        pre=pre_tokenizers.Metaspace("▁", "always", True), decoder=decoders.Metaspace("▁", "always", True),
        post=template("<s> $A </s>", "<s> $A </s> </s> $B </s>"))
    words = lambda **k: dict(model=models.WordLevel(unk_token="<unk>"), trainer=trainers.WordLevelTrainer(
        vocab_size=100, special_tokens=SPECIAL, show_progress=False), **k)
    for name, make in PRE.items():
        yield f"pre-{name}", trained(**words(pre=make()))
    for name, normalizer in NORMAL.items():
        yield f"normal-{name}", trained(**bpe(260, model=dict(unk_token="<unk>")), normalizer=normalizer, decoder=decoders.Fuse())
    yield "added-tokens", trained(
        **bpe(300, model=dict(unk_token="<unk>"), special=["<unk>"]), normalizer=normalizers.Lowercase(), pre=pre_tokenizers.Metaspace(),
        decoder=decoders.Metaspace(), added=[
            AddedToken("<mask>", lstrip=True, rstrip=True, special=True, normalized=False), AddedToken("key", single_word=True, normalized=True),
            AddedToken("<user>", rstrip=True, special=False, normalized=False), AddedToken("hi", normalized=True, lstrip=True),
            AddedToken("<us", special=False, normalized=False), AddedToken("BIRD", normalized=True), AddedToken("WING", normalized=False)])
    limited = trained(**bpe(300, model=dict(unk_token="<unk>")), pre=pre_tokenizers.Whitespace(), post=template("<s> $A </s>", "<s> $A </s> $B:1 </s>:1"))
    limited.enable_truncation(8, stride=0, strategy="longest_first")
    limited.enable_padding(pad_id=2, pad_token="<pad>", length=10)
    yield "limits", limited


def small(tokenizer):
    """Without the spaces of the pretty form."""
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":"))


def main():
    texts = STRINGS + strings(random.Random(31), 24)
    OUT.mkdir(parents=True, exist_ok=True)
    expected, decoded = {}, 0
    for name, tokenizer in tokenizers():
        path = OUT / f"{name}.json"
        if not path.exists():
            path.write_text(small(tokenizer) + "\n", encoding="utf-8")
        tokenizer = Tokenizer.from_file(str(path))
        rows = []
        for text in texts:
            plain = tokenizer.encode(text, add_special_tokens=False).ids
            full = tokenizer.encode(text)
            row = dict(ids=plain, text=tokenizer.decode(plain, skip_special_tokens=False), clean=tokenizer.decode(full.ids))
            if full.ids != plain:
                row["special"] = full.ids
            if name.startswith("pre-"):
                row["pieces"] = [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]
            if name.startswith("normal-"):
                row["normal"] = tokenizer.normalizer.normalize_str(text)
            rows.append(row)
            decoded += row["text"] == text
        pairs = [(e.ids, e.type_ids) for e in (tokenizer.encode(*p) for p in PAIRS)]
        expected[name] = dict(rows=rows, pairs=[dict(ids=i, type_ids=t) for i, t in pairs])
    value = dict(strings=texts, pairs=PAIRS, tokenizers=expected)
    (OUT / "expected.json").write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(len(expected), "tokenizers", sum(p.stat().st_size for p in OUT.iterdir()), "bytes;", decoded, "exact round trips")


if __name__ == "__main__":
    main()
