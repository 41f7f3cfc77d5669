// A block of a model and a whole one stated in C, to be held against the same in Swift; and an op of a plugin's own.
#ifndef GRAPH_IN_C_H
#define GRAPH_IN_C_H

#include <martlet/martlet.h>

/// x + down(silu(gate(h)) · up(h)) with h = rms_norm(x), inside the block "model.layers.0".
mt_value test_feed_forward(const mt_graph_api *api, mt_graph *graph, mt_value x, int64_t width, int64_t inner, mt_error *error);

/// What a config.json says of a Qwen 3, and how many tokens there are.
typedef struct test_qwen3_sizes {
    int64_t tokens, layers, hidden, inner, heads, kv_heads, head_width, vocabulary;
    double eps, theta;
} test_qwen3_sizes;

/// The states [tokens, hidden] of Qwen 3.
mt_value test_qwen3(const mt_graph_api *api, mt_graph *graph, mt_value ids, mt_value positions, mt_value segments,
                    const test_qwen3_sizes *sizes, mt_error *error);

/// The op "clamped_swiglu": (min(up, limit) + 1) · gate σ(α gate), of gpt-oss's experts; attributes alpha and limit.
extern const mt_op_table test_clamped_swiglu;

/// An op that emits itself for ever.
extern const mt_op_table test_endless;

#endif
