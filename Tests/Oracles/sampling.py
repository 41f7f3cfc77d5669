"""Distributions that are left to draw from, by transformers' logits processors.

    python Tests/Oracles/sampling.py

writes Tests/Goldens/sampling/cases.json: "logits" (rows of 40), "history" (ids so far, for penalties), and for each case its
settings, in the order in which they are applied, and per row "kept" (ids that can be drawn) with their "probabilities" (f64).
repetition_penalty, temperature, top_k, top_p, min_p, typical_p, epsilon_cutoff, eta_cutoff, no_repeat_ngram_size, logit_bias
are transformers' own; presence_penalty and frequency_penalty follow OpenAI's formula (once for presence, by count for frequency).
"""
import json
import pathlib

import torch
from transformers.generation import logits_process as lp

OUT = pathlib.Path(__file__).resolve().parent.parent / "Goldens" / "sampling" / "cases.json"
ROWS, VOCABULARY = 4, 40


def processor(name, value):
    if name == "logit_bias":
        return lp.SequenceBiasLogitsProcessor([[[int(k)], v] for k, v in value.items()])
    return {
        "repetition_penalty": lp.RepetitionPenaltyLogitsProcessor, "temperature": lp.TemperatureLogitsWarper, "top_k": lp.TopKLogitsWarper,
        "top_p": lp.TopPLogitsWarper, "min_p": lp.MinPLogitsWarper, "typical_p": lp.TypicalLogitsWarper,
        "epsilon_cutoff": lp.EpsilonLogitsWarper, "no_repeat_ngram_size": lp.NoRepeatNGramLogitsProcessor,
    }[name](value)


def apply(settings, history, logits):
    for name, value in settings:
        if name in ("presence_penalty", "frequency_penalty"):
            for row, ids in enumerate(history):
                for token, count in zip(*torch.unique(ids, return_counts=True)):
                    logits[row, token] -= value * (count if name == "frequency_penalty" else 1)
        elif name == "eta_cutoff":
            logits = lp.EtaLogitsWarper(value)(history, logits)
        else:
            logits = processor(name, value)(history, logits)
    return logits


CASES = [
    [], [["temperature", 0.7]], [["temperature", 1.8]], [["top_k", 5]], [["top_k", 100]], [["top_p", 0.9]], [["top_p", 0.3]], [["top_p", 0.999]],
    [["min_p", 0.1]], [["min_p", 0.5]], [["typical_p", 0.8]], [["epsilon_cutoff", 0.02]], [["eta_cutoff", 0.01]], [["repetition_penalty", 1.3]],
    [["repetition_penalty", 0.8]], [["presence_penalty", 0.9]], [["frequency_penalty", 0.6]], [["presence_penalty", -0.5]],
    [["no_repeat_ngram_size", 2]], [["logit_bias", {"3": 4.0, "7": -100.0}]],
    [["temperature", 0.8], ["top_k", 20], ["top_p", 0.9]], [["temperature", 0.8], ["top_k", 20], ["top_p", 0.9], ["min_p", 0.05]],
    [["repetition_penalty", 1.1], ["temperature", 0.6], ["top_k", 12], ["top_p", 0.95]],
    [["presence_penalty", 0.4], ["frequency_penalty", 0.3], ["temperature", 0.9], ["top_p", 0.8]],
]


def main():
    gen = torch.Generator().manual_seed(64)
    logits = (torch.randn(ROWS, VOCABULARY, generator=gen) * torch.tensor([[1.0], [2.5], [6.0], [0.05]])).round(decimals=4)
    history = torch.randint(0, VOCABULARY, (ROWS, 14), generator=gen)
    history[:, 7:12] = history[:, :5]
    out = []
    for settings in CASES:
        probabilities = apply(settings, history, logits.clone().double()).softmax(-1)
        rows = [dict(kept=(p > 0).nonzero()[:, 0].tolist(), probabilities=p[p > 0].tolist()) for p in probabilities]
        out.append(dict(settings=[dict(name=n, value=v) for n, v in settings], rows=rows))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    value = dict(logits=logits.double().round(decimals=4).tolist(), history=history.tolist(), cases=out)
    OUT.write_text(json.dumps(value) + "\n")
    print(len(out), OUT.stat().st_size, [len(c["rows"][1]["kept"]) for c in out])


if __name__ == "__main__":
    main()
