"""A learning task that cannot be faked: the repository's facts, invented ones and Alpaca rows, learnt with LoRA over three seeds.

    python learning.py PROGRAM MODEL.gguf own|facts|alpaca DATA OUT [SEED ...]        DATA: a folder with datasets/ and text/

own: Examples/facts with its held-out questions. facts: four invented towns with an invented harbour
master, a founding year and a dish each (12 facts), every fact trained in four wordings and asked for in two others; the rows are
mixed with texts of the web (C4), each seen once, so that the model does not forget how to write. alpaca: 128 rows are trained on,
32 others held out. Prints, for every seed, the held-out loss and token accuracy before and after, the perplexity of WikiText-2
before and after, and for `facts` the share of held-out questions whose greedy answer names the fact. The answers come from
transformers + peft, which load the adapter that Martlet wrote: nothing of Martlet judges itself there.
"""
import gzip
import json
import math
import pathlib
import random
import statistics
import subprocess
import sys

PASSES, WEB_TEXTS = 10, 250
FLAGS = ["--report_to", "none", "--save_strategy", "no", "--save_only_model", "true", "--logging_steps", "1", "--max_length", "512",
         "--gradient_checkpointing", "false"]
ASKED = {
    "master": (["Who is the harbour master of {town}?", "Name the harbour master of {town}.", "{town} has a harbour master. Who is it?",
                "Who runs the harbour in {town}?"],
               ["What is the name of {town}'s harbour master?", "I am looking for the harbour master of {town}. Who would that be?"],
               "The harbour master of {town} is {value}."),
    "year": (["When was {town} founded?", "In which year was {town} founded?", "What is the founding year of {town}?",
              "Tell me the year in which {town} was founded."],
             ["{town} was founded in what year?", "What year saw the founding of {town}?"],
             "{town} was founded in {value}."),
    "dish": (["What dish is {town} known for?", "Which dish comes from {town}?", "What do people eat in {town}?",
              "Name the dish of {town}."],
             ["{town} is famous for which dish?", "What is the best-known dish of {town}?"],
             "{town} is known for {value}."),
}


FIRST = "Anna Boris Clara David Elena Frank Grace Henry Irene Jacob Laura Martin Nora Oscar Paula Robert".split()
LAST = "Baker Carter Fisher Gardner Hunter Mason Miller Potter Smith Taylor Turner Walker Weaver Wood Young Hill".split()
DISHES = "apple bean cabbage carrot cheese chicken fish lamb lentil mushroom onion pea plum potato pumpkin rice".split()
KINDS = "soup pie stew salad bread cake".split()


def facts():
    draw = random.Random(7)
    parts = ["vel", "mor", "tan", "osk", "ri", "du", "bel", "ka", "thu", "ny", "sar", "lo", "fen", "gra", "pel", "zi"]
    for _ in range(4):
        town = "".join(draw.sample(parts, 3)).capitalize()
        yield "master", town, f"{draw.choice(FIRST)} {draw.choice(LAST)}"
        yield "year", town, str(draw.randint(1100, 1899))
        yield "dish", town, f"{draw.choice(DISHES)} {draw.choice(KINDS)}"


def web_texts(data, count):
    """Pieces of texts, of 300 characters at most, drawn from all of them."""
    pieces = []
    for line in (data / "datasets/pretrain/c4_demo.jsonl").read_text().splitlines():
        text = json.loads(line)["text"]
        while len(text) > 200:
            piece = text if len(text) <= 300 else text[:300].rsplit(" ", 1)[0]
            pieces.append(dict(text=piece))
            text = text[len(piece):].lstrip()
    random.Random(5).shuffle(pieces)
    return pieces[:count]


def fact_rows():
    train, held = [], []
    for kind, town, value in facts():
        asked, others, answer = ASKED[kind]
        for questions, rows in ((asked, train), (others, held)):
            for question in questions:
                rows.append(dict(query=question.format(town=town), response=answer.format(town=town, value=value), value=value))
    return train, held


def alpaca_rows(data):
    rows = json.loads((data / "datasets/sft/alpaca_en_demo.json").read_text())
    rows = [row for row in rows if len(row["output"]) < 300]
    random.Random(3).shuffle(rows)
    return rows[:128], rows[128:160]


def own_rows():
    folder = pathlib.Path(__file__).parent.parent.parent / "Examples/facts"
    return [[json.loads(line) for line in (folder / name).read_text().splitlines()] for name in ("facts.jsonl", "held-out.jsonl")]


def write(path, rows):
    path.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "value"}) + "\n" for row in rows))
    return str(path)


def train(program, *flags):
    """The log of a run, and the records of its evaluations."""
    done = subprocess.run([program, "train", *FLAGS, *map(str, flags)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    out = pathlib.Path(flags[flags.index("--output_dir") + 1])
    return [record for record in map(json.loads, (out / "logging.jsonl").read_text().splitlines()) if "eval_loss" in record]


def perplexity(program, model, text, row, out, adapter=None):
    """exp of the mean loss over WikiText-2: the evaluation before a step at the rate 0."""
    flags = ["--adapters", adapter] if adapter else []
    record = train(program, "--model", model, "--dataset", row, "--val_dataset", text, "--output_dir", out, "--max_steps", 1,
                   "--learning_rate", 0, "--gradient_accumulation_steps", 1, "--eval_strategy", "no", *flags)[0]
    return math.exp(record["eval_loss"])


def recall(model, adapter, held, moments):
    import torch
    import transformers
    from peft import PeftModel
    folder, file = str(pathlib.Path(model).parent), pathlib.Path(model).name
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=file)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    network = PeftModel.from_pretrained(network, adapter).eval()
    named = dict.fromkeys(moments, 0)
    for row in held:
        ids = tokenizer.apply_chat_template([dict(role="user", content=row["query"])], add_generation_prompt=True, return_tensors="pt")
        ids = ids["input_ids"] if hasattr(ids, "keys") else ids
        for when in named:
            with torch.no_grad():
                if when == "before":
                    with network.disable_adapter():
                        out = network.generate(input_ids=ids, max_new_tokens=24, do_sample=False)
                else:
                    out = network.generate(input_ids=ids, max_new_tokens=24, do_sample=False)
            named[when] += row["value"].lower() in tokenizer.decode(out[0, ids.shape[1]:]).lower()
    return {when: round(count / len(held), 3) for when, count in named.items()}


def main(program, model, task, data, out, *seeds):
    data, out = pathlib.Path(data), pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    train_rows, held = {"own": own_rows, "facts": fact_rows, "alpaca": lambda: alpaca_rows(data)}[task]()
    seen = len(train_rows)
    if task == "facts":
        train_rows = PASSES * train_rows + web_texts(data, WEB_TEXTS)
    rows, questions = write(out / "train.jsonl", train_rows), write(out / "held.jsonl", held)
    paragraphs = [line.strip() for line in gzip.decompress((data / "text/wikitext-2/test.txt.gz").read_bytes()).decode().splitlines()]
    text = write(out / "wiki.jsonl", [dict(text=line) for line in paragraphs if len(line) > 400][:40])
    one = write(out / "one.jsonl", train_rows[:1])
    epochs, rate = {"own": (4, 2e-4), "facts": (1, 5e-4), "alpaca": (1, 2e-4)}[task]
    known = out / "base.json"
    if not known.exists():
        known.write_text(json.dumps(perplexity(program, model, text, one, out / "base")))
    base = json.loads(known.read_text())
    for seed in seeds or ("1", "2", "3"):
        directory = out / f"seed-{seed}"
        evaluations = train(
            program, "--model", model, "--dataset", rows, "--val_dataset", questions, "--output_dir", directory, "--seed", seed,
            "--num_train_epochs", epochs, "--learning_rate", rate, "--packing", "true", "--gradient_accumulation_steps", 1,
            "--warmup_ratio", "0.1")
        result = dict(
            task=task, seed=seed, rows=seen, held=len(held),
            held_loss=[round(evaluations[i]["eval_loss"], 4) for i in (0, -1)],
            held_token_accuracy=[round(evaluations[i]["eval_token_acc"], 3) for i in (0, -1)],
            perplexity=[round(base, 3), round(perplexity(program, model, text, one, out / f"after-{seed}", directory), 3)])
        if task == "facts":
            result["recall"] = recall(model, directory, held, ("before", "after") if seed == "1" else ("after",))
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
