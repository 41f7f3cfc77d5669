/* fails kind-row: it cannot be called by two threads at once */
#include "kind.h"
#include <sched.h>
static volatile int inside;
static mt_status judge(void *ctx, mt_str row, double *out, mt_error *error) {
    (void)ctx, (void)row, (void)error;
    inside = inside + 1;
    sched_yield();
    *out = inside;
    inside = inside - 1;
    return MT_OK;
}
static const mt_row_table table = {sizeof table, 0, judge};
OFFER(MT_KIND_FILTER, table)
