"""Writes Resources/catalogue.json and Resources/datasets.json from tables of models and datasets.

    python Tools/catalogue.py MODELS.tsv DATASETS.tsv

The tables are facts about published models and datasets (ids at ModelScope and Hugging Face, model type, architecture,
chat format, subsets), one a line under a header; "-" is nothing.
"""
import csv
import json
import pathlib
import sys

# Spellings in print and in older tools that are no part of the names.
DATASET_ALIASES = {
    "alpaca-en": "AI-ModelScope/alpaca-gpt4-data-en", "alpaca-zh": "AI-ModelScope/alpaca-gpt4-data-zh",
    "hh-rlhf-dpo": "AI-ModelScope/hh-rlhf", "hh-rlhf": "AI-ModelScope/hh-rlhf", "self-cognition": "swift/self-cognition",
}
# Forms whose rows schemas read as they are, or with their columns under other names; the others are left to the user.
FORMS = {
    "AutoPreprocessor": {}, "MessagesPreprocessor": {}, "ResponsePreprocessor": {}, "AlpacaZhPreprocessor": {},
    "LongAlpacaPreprocessor": {}, "MathTrnPreprocessor": {}, "FireflyPreprocessor": {}, "HHRLHFPreprocessor": {},
    "OrpoDPOMix40kPreprocessor": {},
    "AlpacaPreprocessor": {"question": "instruction", "context": "input", "answer": "output"},
    "RuozhibaPreprocessor": {"title": "response"},
    "TextGenerationPreprocessor": {"content": "query", "summary": "response"},
    "SyntheticText2SqlPreprocessor": {"sql_prompt": "instruction", "sql_context": "input", "sql": "output"},
    "BlossomMathPreprocessor": {"input": "query", "output": "response"},
    "DureaderPreprocessor": {"text1": "query", "text2": "response"},
    "HHRLHFCNPreprocessor": {"context": "messages"},
    "EmojiPreprocessr": {"answer_zh": "response", "answer_en": "rejected_response"},
    "Dolly15kPreprocessor": {"context": "input"},
}
# Published columns that bear none of the usual names.
COLUMNS = {
    "OmniData/Zhihu-KOL": {"INSTRUCTION": "query", "RESPONSE": "response"},
    "OmniData/Zhihu-KOL-More-Than-100-Upvotes": {"INSTRUCTION": "query", "RESPONSE": "response"},
    "AI-ModelScope/stack-exchange-paired": {"response_j": "response", "response_k": "rejected_response"},
    "FreedomIntelligence/medical-o1-reasoning-SFT": {"Question": "query", "Response": "response"},
    "swift/github-code": {"code": "response"}, "swift/RedPajama-Data-V2": {"raw_content": "response"},
}
MODEL_FIELDS = [("id", "ms_id"), ("hf", "hf_id"), ("type", "model_type"), ("architecture", "architecture"),
                ("template", "template"), ("task", "task_type"), ("quantization", "quant"), ("agent", "agent_template"),
                ("tags", "tags")]
DATASET_FIELDS = [("id", "ms_id"), ("hf", "hf_id"), ("name", "name"), ("task", "task_guess"), ("tags", "tags"),
                  ("subsets", "subsets"), ("split", "split"), ("form", "preprocessor")]
LISTS = {"subsets": "|", "split": "|", "tags": ",", "architecture": "|"}


def rows(path, fields):
    result = []
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            entry = {}
            for name, column in fields:
                value = row[column]
                if value in ("-", ""):
                    continue
                if name in LISTS:
                    value = [part for part in value.split(LISTS[name]) if part and not any(ord(c) > 0x2000 for c in part)]
                entry[name] = value
            if entry.get("hf") == entry.get("id"):
                entry.pop("hf", None)
            if entry.get("name") == entry.get("id"):
                entry.pop("name", None)
            if row.get("multimodal") == "1":
                entry["multimodal"] = True
            if entry.get("id") in COLUMNS:
                entry["columns"] = COLUMNS[entry["id"]]
            if row.get("huge") == "1":
                entry["huge"] = True
            entry = {name: value for name, value in entry.items() if value not in ([], ["default"] if name == "subsets" else [])}
            result.append(entry)
    return result


def write(name, head, key, entries):
    target = pathlib.Path(__file__).resolve().parent.parent / "Resources" / name
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    head = json.dumps(head, ensure_ascii=False)[:-1]
    target.write_text(f'{head}, "{key}": [\n{lines}\n]}}\n')
    print(len(entries), "in", name)


def main():
    write("catalogue.json", {"version": 1}, "models", rows(sys.argv[1], MODEL_FIELDS))
    write("datasets.json", {"version": 1, "aliases": DATASET_ALIASES, "forms": FORMS}, "datasets", rows(sys.argv[2], DATASET_FIELDS))


main()
