"""Asks transformers which tokens its assistant mask marks; writes Tests/TemplateTests/Goldens/training_masks.json.

    python Tests/Oracles/training_masks.py        (transformers 5)

The tokenizer has one token a character, and one each for the special tokens below; a second one has also the pairs
listed under "merges", so that some tokens straddle the edge of the trained text. A golden keeps the pieces of the
whole text and the mask of each.
"""
import json
import pathlib

from tokenizers import AddedToken, Tokenizer, models
from transformers import PreTrainedTokenizerFast

SPECIAL = ["<|im_start|>", "<|im_end|>", "<s>", "</s>"]
CHATML = ("{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}{% if m.role == 'assistant' %}{% generation %}"
          "{{ m.content + '<|im_end|>' }}{% endgeneration %}{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\\n' }}"
          "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
PLAIN = ("{{ '<s>' }}{% for m in messages %}{% if m.role == 'user' %}{{ 'User: ' + m.content + '\\n\\nAssistant:' }}"
         "{% elif m.role == 'assistant' %}{% generation %}{{ ' ' + m.content + '</s>' }}{% endgeneration %}"
         "{% else %}{{ m.content + '\\n\\n' }}{% endif %}{% endfor %}")
CONVERSATIONS = {
    "one": [("user", "Hi"), ("assistant", "Yo")],
    "two": [("system", "Be brief."), ("user", "2+2?"), ("assistant", "4 é 你"), ("user", "more"), ("assistant", "8")],
    "empty": [("user", "Hi"), ("assistant", ""), ("user", "?"), ("assistant", "x")],
}

def tokenizer(merges):
    text = "".join(chr(c) for c in range(32, 127)) + "\né你好"
    vocabulary = {piece: i for i, piece in enumerate(list(text) + ["<unk>"] + ["".join(m) for m in merges])}
    inner = Tokenizer(models.BPE(vocabulary, [tuple(m) for m in merges], unk_token="<unk>"))

    inner.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")

def main():
    cases = []
    for name, template in [("chatml", CHATML), ("plain", PLAIN)]:
        for merges in [[], [(":", " "), ("\n", "Y"), ("A", "s"), ("2", "+")]]:
            tok = tokenizer(merges)
            for label, turns in CONVERSATIONS.items():
                messages = [{"role": role, "content": content} for role, content in turns]
                out = tok.apply_chat_template(messages, chat_template=template, tokenize=True, return_dict=True,
                                              return_assistant_tokens_mask=True)
                cases.append({"name": f"{name} {label}", "template": template, "messages": messages,
                              "merges": ["".join(m) for m in merges],
                              "pieces": tok.convert_ids_to_tokens(out["input_ids"]), "mask": out["assistant_masks"]})
    target = pathlib.Path(__file__).resolve().parent.parent / "TemplateTests/Goldens/training_masks.json"
    target.write_text("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]\n")
    print(len(cases), "cases")

main()
