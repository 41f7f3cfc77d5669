/* A model of one embedding and one linear layer; HIDDEN is what describe says, MIX(b, x) what is done to the states. */
#include "kind.h"
#ifndef HIDDEN
#define HIDDEN "8"
#endif
static int32_t probe(void *ctx, mt_str config) {
    (void)ctx;
    return config.size > 0 && memmem(config.data, config.size, "BrokenForCausalLM", 17) ? 100 : 0;
}
static mt_status describe(void *ctx, mt_str config, mt_sink out, mt_error *error) {
    if (!probe(ctx, config)) return mt_fail(error, MT_INVALID, "not a broken one", "config.json");
    return say(out, "{\"parts\": [\"decoder\"], \"layers\": 1, \"vocab\": 512, \"head\": \"embed.weight\", \"hidden\": " HIDDEN
               ", \"default_targets\": [\"layer\"], \"attention\": [{\"kv_heads\": 1, \"key_width\": 8, \"value_width\": 8}]}", error);
}
static mt_status build(void *ctx, const mt_build *build, mt_value *outputs, size_t capacity, size_t *count, mt_error *error) {
    (void)ctx;
    (void)capacity;
    mt_builder builder = mt_builder_make(graph_api, build->graph, error), *b = &builder;
    int64_t shape[2] = {512, 8};
    mt_value x = mt_binary(b, MT_STR("embedding"), mt_parameter(b, MT_STR("embed.weight"), shape, 2, 0), build->ids);
    x = mt_linear(b, MT_STR("layer"), MIX(b, x), 8, false);
    outputs[0] = x;
    *count = 1;
    return b->status;
}
static const mt_model_table table = {sizeof table, 0, probe, describe, build, NULL};
OFFER(MT_KIND_MODEL, table)
