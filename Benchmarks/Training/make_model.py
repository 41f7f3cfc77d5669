"""Makes a model directory with random bf16 weights and a tokenizer of single letters, and rows of exact lengths.

    python make_model.py SHAPE OUT        SHAPE: qwen2-0.5b | smollm2-135m

writes OUT/model (config.json, model.safetensors, tokenizer files), OUT/rows-N.jsonl (texts of N tokens, the end token counted) and
OUT/pairs-N.jsonl (conversations whose chosen and rejected forms have about N tokens).
"""
import json
import pathlib
import random
import sys

import torch
import transformers

SHAPES = {
    "qwen2-0.5b": transformers.Qwen2Config(
        vocab_size=151936, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
        num_key_value_heads=2, max_position_embeddings=32768, rope_theta=1e6, rms_norm_eps=1e-6, tie_word_embeddings=True),
    "smollm2-135m": transformers.LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, max_position_embeddings=8192, rope_theta=1e5, rms_norm_eps=1e-5, tie_word_embeddings=True),
}
TEMPLATE = "{% for m in messages %}{{ m['role'][0] }}:{{ m['content'] }}</s>{% endfor %}{% if add_generation_prompt %}a:{% endif %}"


def main(shape, out):
    out = pathlib.Path(out)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(SHAPES[shape], dtype=torch.bfloat16)
    model.save_pretrained(out / "model")
    vocab = {"<s>": 0, "</s>": 1, **{chr(c): c - 31 for c in range(33, 127)}}
    special = [dict(id=i, content=t, special=True, single_word=False, lstrip=False, rstrip=False, normalized=False)
               for i, t in enumerate(["<s>", "</s>"])]
    (out / "model/tokenizer.json").write_text(json.dumps(dict(
        version="1.0", truncation=None, padding=None, added_tokens=special, normalizer=None,
        pre_tokenizer=dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True), post_processor=None,
        decoder=dict(type="ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True),
        model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None,
                   fuse_unk=False, byte_fallback=False, vocab=vocab, merges=[]))))
    (out / "model/tokenizer_config.json").write_text(json.dumps(dict(
        eos_token="</s>", tokenizer_class="PreTrainedTokenizerFast", chat_template=TEMPLATE)))
    draw = random.Random(1)

    def letters(count):
        return "".join(draw.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(count))

    for length in (128, 256, 512):
        with open(out / f"rows-{length}.jsonl", "w") as file:
            for _ in range(256):
                file.write(json.dumps(dict(text=letters(length - 1))) + "\n")
        with open(out / f"pairs-{length}.jsonl", "w") as file:
            for _ in range(64):
                prompt, half = letters(length // 2 - 4), length - length // 2 - 3
                file.write(json.dumps(dict(
                    messages=[dict(role="user", content=prompt), dict(role="assistant", content=letters(half))],
                    rejected_response=letters(half))) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
