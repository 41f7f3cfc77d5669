/* Kind "martlet.benchmark/1" (draft): a published test of models: its items, its prompts and its scoring. */
#ifndef MARTLET_KINDS_BENCHMARK_H
#define MARTLET_KINDS_BENCHMARK_H

#include "../base.h"

#define MT_KIND_BENCHMARK "martlet.benchmark/1"

typedef struct mt_items mt_items;

typedef struct mt_benchmark_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* JSON: {"subsets": [...], "splits": [...], "fewshot": n, "metric": "acc", "data": [hub ids or file names]}. [any] */
    mt_status (*describe)(void *ctx, mt_sink out, mt_error *error);
    /* Reads the items of a subset from a directory of the published files. `settings` is JSON: {"subset": text,
     * "split": text, "fewshot": n, "seed": n}. [any] */
    mt_status (*open)(void *ctx, mt_str directory, mt_str settings, mt_items **out, mt_error *error);
    void (*close)(void *ctx, mt_items *items); /* [instance] */
    size_t (*count)(void *ctx, const mt_items *items); /* [any] */
    /* Item `index` as a question to the model. JSON: {"messages": [...]} or {"text": "..."} for base models, with
     * "choices": [texts] when their log-probabilities are compared, else "max_tokens" and "stop": [texts]. [any] */
    mt_status (*prompt)(void *ctx, const mt_items *items, size_t index, mt_sink out, mt_error *error);
    /* The score of an answer: the text that was generated, or for choices the JSON array of their log-probabilities.
     * JSON: {"score": number, "extracted": text | null, "expected": text}. [any] */
    mt_status (*score)(void *ctx, const mt_items *items, size_t index, mt_str answer, mt_sink out, mt_error *error);
    /* Totals from the JSON array of all scores, in the items' order: {"acc": number, …, "by": {"subject": {...}}}. [any] */
    mt_status (*aggregate)(void *ctx, const mt_items *items, mt_str scores, mt_sink out, mt_error *error);
} mt_benchmark_table;

#endif
