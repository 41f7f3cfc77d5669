/* fails kind-tuner: at its first values it changes the model */
#include "kind.h"
static mt_status parameters(void *ctx, mt_str settings, const mt_site *site, mt_sink out, mt_error *error) {
    char text[96];
    (void)ctx, (void)settings;
    snprintf(text, sizeof text, "[{\"name\": \"shift\", \"shape\": [%d], \"init\": \"ones\", \"group\": \"\"}]", (int)site->out);
    return say(out, text, error);
}
static mt_status apply(void *ctx, mt_str settings, mt_graph *graph, const mt_site *site, const mt_value *trained, size_t count,
                       bool training, mt_value *out, mt_error *error) {
    (void)ctx, (void)settings, (void)count, (void)training;
    mt_builder b = mt_builder_make(graph_api, graph, error);
    *out = mt_add(&b, site->y, trained[0]);
    return b.status;
}
static mt_status merge(void *ctx, mt_str settings, mt_graph *graph, const mt_site *site, const mt_value *trained, size_t count,
                       mt_value *out, mt_error *error) {
    (void)ctx, (void)settings, (void)graph, (void)site, (void)trained, (void)count, (void)out;
    return mt_fail(error, MT_UNSUPPORTED, "a shift cannot be merged", "");
}
static mt_status write_config(void *ctx, mt_str settings, mt_sink out, mt_error *error) {
    (void)ctx, (void)settings;
    return say(out, "{}", error);
}
static mt_status read_config(void *ctx, mt_str config, mt_sink out, mt_error *error) {
    (void)ctx, (void)config;
    return say(out, "{}", error);
}
static const mt_tuner_table table = {sizeof table, 0, parameters, apply, merge, write_config, read_config};
OFFER(MT_KIND_TUNER, table)
