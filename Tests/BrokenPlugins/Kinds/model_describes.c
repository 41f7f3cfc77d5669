/* fails kind-model: describe answers with what is no JSON */
#include "kind.h"
static int32_t probe(void *ctx, mt_str config) {
    (void)ctx;
    (void)config;
    return 0;
}
static mt_status describe(void *ctx, mt_str config, mt_sink out, mt_error *error) {
    (void)ctx;
    (void)config;
    return say(out, "hidden = 8", error);
}
static mt_status build(void *ctx, const mt_build *build, mt_value *outputs, size_t capacity, size_t *count, mt_error *error) {
    (void)ctx, (void)build, (void)outputs, (void)capacity, (void)count;
    return mt_fail(error, MT_UNSUPPORTED, "nothing is built", "");
}
static const mt_model_table table = {sizeof table, 0, probe, describe, build, NULL};
OFFER(MT_KIND_MODEL, table)
