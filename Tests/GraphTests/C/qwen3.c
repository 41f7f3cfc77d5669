// Qwen 3 through graph.h alone, beside Plugins/Models/Qwen3.
#include "graph_in_c.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/// A projection cut into heads: [T, hidden] to [T, count, head_width].
static mt_value heads(mt_builder *b, mt_value flat, int64_t count, const test_qwen3_sizes *m) {
    int64_t shape[3] = {-1, count, m->head_width};
    return mt_reshape(b, flat, shape, 3);
}

/// Each head normalized, then turned by its position.
static mt_value turned(mt_builder *b, mt_str norm, mt_value x, mt_value positions, const test_qwen3_sizes *m) {
    mt_value normal = mt_rms_norm(b, norm, x, m->head_width, m->eps), frequencies = {0, 0};
    float values[256];
    int64_t pairs = m->head_width / 2;
    for (int64_t i = 0; i < pairs; i++) values[i] = (float)pow(m->theta, -2.0 * (double)i / (double)m->head_width);
    if (b->status == MT_OK)
        b->status = b->api->constant(b->graph, MT_F32, &pairs, 1, values, (size_t)pairs * sizeof *values, &frequencies, b->error);
    mt_value in[3] = {normal, positions, frequencies};
    return mt_op(b, MT_STR("rope"), in, 3, NULL, 0);
}

static mt_value attention(mt_builder *b, mt_value h, int64_t layer, mt_value positions, mt_value segments, const test_qwen3_sizes *m) {
    mt_value q = mt_linear(b, MT_STR("self_attn.q_proj"), h, m->heads * m->head_width, false);
    mt_value k = mt_linear(b, MT_STR("self_attn.k_proj"), h, m->kv_heads * m->head_width, false);
    mt_value v = mt_linear(b, MT_STR("self_attn.v_proj"), h, m->kv_heads * m->head_width, false);
    q = turned(b, MT_STR("self_attn.q_norm.weight"), heads(b, q, m->heads, m), positions, m);
    k = turned(b, MT_STR("self_attn.k_norm.weight"), heads(b, k, m->kv_heads, m), positions, m);
    v = heads(b, v, m->kv_heads, m);
    mt_value in[6] = {q, k, v, segments, segments, {0, 0}};
    mt_attr attrs[2] = {mt_attr_int(MT_STR("layer"), layer), mt_attr_float(MT_STR("scale"), 1 / sqrt((double)m->head_width))};
    mt_value a = mt_op(b, MT_STR("attention"), in, 6, attrs, 2);
    int64_t flat[2] = {m->tokens, m->heads * m->head_width};
    return mt_linear(b, MT_STR("self_attn.o_proj"), mt_reshape(b, a, flat, 2), m->hidden, false);
}

static mt_value feed_forward(mt_builder *b, mt_value h, const test_qwen3_sizes *m) {
    mt_value gate = mt_unary(b, MT_STR("silu"), mt_linear(b, MT_STR("mlp.gate_proj"), h, m->inner, false));
    mt_value up = mt_linear(b, MT_STR("mlp.up_proj"), h, m->inner, false);
    return mt_linear(b, MT_STR("mlp.down_proj"), mt_mul(b, gate, up), m->hidden, false);
}

mt_value test_qwen3(const mt_graph_api *api, mt_graph *graph, mt_value ids, mt_value positions, mt_value segments,
                    const test_qwen3_sizes *m, mt_error *error) {
    mt_builder b = mt_builder_make(api, graph, error);
    int64_t table[2] = {m->vocabulary, m->hidden};
    mt_value x = mt_binary(&b, MT_STR("embedding"), mt_parameter(&b, MT_STR("model.embed_tokens.weight"), table, 2, 0), ids);
    for (int64_t i = 0; i < m->layers; i++) {
        char name[48];
        snprintf(name, sizeof name, "model.layers.%lld", (long long)i);
        mt_open_block(&b, (mt_str){name, strlen(name)});
        mt_value h = mt_rms_norm(&b, MT_STR("input_layernorm.weight"), x, m->hidden, m->eps);
        mt_value y = mt_add(&b, x, attention(&b, h, i, positions, segments, m));
        h = mt_rms_norm(&b, MT_STR("post_attention_layernorm.weight"), y, m->hidden, m->eps);
        x = mt_add(&b, y, feed_forward(&b, h, m));
        mt_close_block(&b);
    }
    x = mt_rms_norm(&b, MT_STR("model.norm.weight"), x, m->hidden, m->eps);
    return b.status == MT_OK ? x : (mt_value){0, 0};
}
