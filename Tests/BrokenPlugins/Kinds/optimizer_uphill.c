/* fails kind-optimizer: it goes along the gradient */
#include "kind.h"
static mt_status states(void *ctx, mt_str settings, const int64_t *shape, size_t rank, mt_sink out, mt_error *error) {
    (void)ctx, (void)settings, (void)shape, (void)rank;
    return say(out, "[]", error);
}
static mt_status update(void *ctx, const mt_update *u, mt_value *parameter, mt_value *states, mt_error *error) {
    (void)ctx, (void)states;
    mt_builder b = mt_builder_make(graph_api, u->graph, error);
    *parameter = mt_add(&b, u->parameter, mt_mul(&b, u->gradient, u->learning_rate));
    return b.status;
}
static const mt_optimizer_table table = {sizeof table, 0, states, update};
OFFER(MT_KIND_OPTIMIZER, table)
