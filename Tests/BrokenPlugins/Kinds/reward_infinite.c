/* fails kind-row: a number that is not finite is no failure to it */
#include "kind.h"
static mt_status judge(void *ctx, mt_str row, double *out, mt_error *error) {
    (void)ctx, (void)error;
    *out = 1 / (double)(row.size > 40 ? 0 : 1);
    return MT_OK;
}
static const mt_row_table table = {sizeof table, 0, judge};
OFFER(MT_KIND_REWARD, table)
