/* fails kind-alignment: the parts of a window do not add up, for it does not divide by the window's size */
#include "kind.h"
static mt_status needs(void *ctx, mt_str settings, uint32_t *out, mt_error *error) {
    (void)ctx, (void)settings, (void)error;
    *out = 0;
    return MT_OK;
}
static mt_status loss(void *ctx, const mt_objective *batch, mt_value *out, mt_error *error) {
    (void)ctx;
    mt_builder b = mt_builder_make(graph_api, batch->graph, error);
    mt_attr axes = mt_attr_ints(MT_STR("axes"), NULL, 0);
    mt_value weighted = mt_mul(&b, batch->logps, batch->weights);
    *out = mt_op(&b, MT_STR("sum"), &weighted, 1, &axes, 1);
    return b.status;
}
static const mt_alignment_table table = {sizeof table, 0, needs, loss, NULL};
OFFER(MT_KIND_ALIGNMENT, table)
