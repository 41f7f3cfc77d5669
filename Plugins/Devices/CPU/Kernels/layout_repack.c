// Repacking at load.
#include "layout_internal.h"

bool mk_can_repack(const mk_weight *weight) {
    (void)weight;
    return false;
}

size_t mk_repacked_bytes(const mk_weight *weight) { return weight->rows * weight->row_bytes; }

mk_weight mk_repack(const mk_pool *pool, const mk_weight *weight, void *to) {
    mk_weight copy = *weight;
    copy.data = to;
    mk_parallel_copy(pool, to, weight->data, weight->rows * weight->row_bytes);
    return copy;
}
