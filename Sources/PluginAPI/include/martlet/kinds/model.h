/* Kind "martlet.model/1" (draft): a model family states its forward pass. */
#ifndef MARTLET_KINDS_MODEL_H
#define MARTLET_KINDS_MODEL_H

#include "../base.h"
#include "../graph.h"

#define MT_KIND_MODEL "martlet.model/1"

/* What a build starts from. Values of index 0 are absent. */
typedef struct mt_build {
    uint32_t struct_size;
    uint32_t reserved;
    mt_graph *graph;
    mt_str config;      /* config.json's text */
    mt_str part;        /* "decoder" for a language model; "encoder", "vision" … as describe lists them */
    mt_value ids;       /* i32 [T] token ids */
    mt_value positions; /* i32 [T], or [3, T] for multimodal rope */
    mt_value segments;  /* i32 [S + 1] cumulative token offsets of the sequences; trailing entries repeat the last */
    mt_value embeds;    /* f32 [T, width] in place of looked-up ids, when given; for a part that "features" lists
                         * f32 [items, sizes...], and ids, positions and segments are absent */
    mt_value context;   /* f32 [T', width'] states that cross attention reads, when given */
    mt_value context_segments; /* i32 [S + 1] over context */
    mt_value type_ids;  /* i32 [T] token types (BERT) */
    mt_value lengths;   /* i32 [T] how long each token's sequence is as far as it is known, tokens of other steps included:
                         * for rotations that depend on it. Absent: the batch is one sequence from its beginning on */
} mt_build;

typedef struct mt_model_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* How well this family fits a config.json: 0 = not at all, 100 = names its architecture. [any] */
    int32_t (*probe)(void *ctx, mt_str config);
    /* JSON about a model with this config; keys: Documentation/Writing-a-plugin.md. It names at least
     * {"parts": [...], "layers": n, "hidden": n, "vocab": n, "head": "lm_head.weight" | tied embedding's name | null,
     *  "attention": [{"kv_heads": n, "key_width": n, "value_width": n} per layer], "default_targets": [...]}
     * and optionally "logit_scale", "logit_softcap", "max_positions", "embedding", "head_bias", "head_unit_rows",
     * "classifier", "token_classifier", "rope_growth", "features": {part: sizes of one item that it reads, such as
     * [3, 224, 224] or [80, 3000]}, and "context": the part whose first output the decoder attends to. [any] */
    mt_status (*describe)(void *ctx, mt_str config, mt_sink out, mt_error *error);
    /* Emits a part; writes up to `capacity` outputs. A decoder's first output is its hidden states [T, hidden],
     * after the final norm and before the head. [instance of the graph] */
    mt_status (*build)(void *ctx, const mt_build *build, mt_value *outputs, size_t capacity, size_t *count, mt_error *error);
    /* Writes the family's parameter name for `name` of a checkpoint in another published layout, or nothing when the
     * tensor is of no use. Absent: names are used as they stand. [any] */
    mt_status (*rename)(void *ctx, mt_str config, mt_str name, mt_sink out, mt_error *error);
} mt_model_table;

#endif
