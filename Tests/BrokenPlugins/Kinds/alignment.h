/* A loss over tokens that is SHARE(b, sum, batch) of the sum of the batch's weighted log-probabilities. */
#include "kind.h"
static mt_status needs(void *ctx, mt_str settings, uint32_t *out, mt_error *error) {
    (void)ctx, (void)settings, (void)error;
    *out = 0;
    return MT_OK;
}
static mt_value total(mt_builder *b, mt_value x) {
    mt_attr axes = mt_attr_ints(MT_STR("axes"), NULL, 0);
    return mt_op(b, MT_STR("sum"), &x, 1, &axes, 1);
}
static mt_status loss(void *ctx, const mt_objective *batch, mt_value *out, mt_error *error) {
    (void)ctx;
    mt_builder b = mt_builder_make(graph_api, batch->graph, error);
    *out = SHARE(&b, total(&b, mt_mul(&b, batch->logps, batch->weights)), batch);
    return b.status;
}
static const mt_alignment_table table = {sizeof table, 0, needs, loss, NULL};
OFFER(MT_KIND_ALIGNMENT, table)
