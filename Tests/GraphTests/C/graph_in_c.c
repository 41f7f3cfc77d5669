#include "graph_in_c.h"

#include <string.h>

mt_value test_feed_forward(const mt_graph_api *api, mt_graph *graph, mt_value x, int64_t width, int64_t inner, mt_error *error) {
    mt_builder b = mt_builder_make(api, graph, error);
    mt_open_block(&b, MT_STR("model.layers.0"));
    mt_value h = mt_rms_norm(&b, MT_STR("post_attention_layernorm.weight"), x, width, 1e-6);
    mt_value gate = mt_unary(&b, MT_STR("silu"), mt_linear(&b, MT_STR("mlp.gate_proj"), h, inner, false));
    mt_value up = mt_linear(&b, MT_STR("mlp.up_proj"), h, inner, true);
    mt_value y = mt_add(&b, x, mt_linear(&b, MT_STR("mlp.down_proj"), mt_mul(&b, gate, up), width, false));
    mt_close_block(&b);
    return b.status == MT_OK ? y : (mt_value){0, 0};
}

static const mt_graph_api *graph_api;

static double number(const mt_attr *attrs, size_t count, const char *name, double fallback) {
    for (size_t i = 0; i < count; i++)
        if (attrs[i].name.size == strlen(name) && !memcmp(attrs[i].name.data, name, attrs[i].name.size)) return attrs[i].value.f;
    return fallback;
}

static mt_status decompose(void *ctx, mt_graph *graph, const mt_value *inputs, size_t input_count, const mt_attr *attrs,
                           size_t attr_count, mt_value *outputs, size_t output_count, mt_error *error) {
    graph_api = ctx;
    if (input_count != 2 || output_count < 1) {
        strcpy(error->message, "clamped_swiglu wants gate and up");
        return MT_INVALID;
    }
    mt_builder b = mt_builder_make(graph_api, graph, error);
    float limit = (float)number(attrs, attr_count, "limit", 7), one[1] = {limit};
    int64_t dims[1] = {1};
    mt_value bound = {0, 0};
    b.status = graph_api->constant(graph, MT_F32, dims, 1, one, sizeof one, &bound, error);
    mt_attr alpha = mt_attr_float(MT_STR("factor"), number(attrs, attr_count, "alpha", 1.702));
    mt_attr plus = mt_attr_float(MT_STR("value"), 1);
    mt_value steep = mt_op(&b, MT_STR("scale"), &inputs[0], 1, &alpha, 1);
    mt_value gate = mt_mul(&b, inputs[0], mt_unary(&b, MT_STR("sigmoid"), steep));
    mt_value up = mt_binary(&b, MT_STR("min"), inputs[1], bound);
    outputs[0] = mt_mul(&b, mt_op(&b, MT_STR("add_scalar"), &up, 1, &plus, 1), gate);
    return b.status;
}
const mt_op_table test_clamped_swiglu = {sizeof(mt_op_table), 0, decompose};

static mt_status again(void *ctx, mt_graph *graph, const mt_value *inputs, size_t input_count, const mt_attr *attrs,
                       size_t attr_count, mt_value *outputs, size_t output_count, mt_error *error) {
    const mt_graph_api *api = ctx;
    return api->emit(graph, MT_STR("endless"), inputs, input_count, attrs, attr_count, outputs, output_count, error);
}
const mt_op_table test_endless = {sizeof(mt_op_table), 0, again};
