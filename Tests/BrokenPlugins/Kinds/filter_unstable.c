/* fails kind-row: a row gets another number each time */
#include "kind.h"
static mt_status judge(void *ctx, mt_str row, double *out, mt_error *error) {
    static double calls;
    (void)ctx, (void)row, (void)error;
    *out = ++calls;
    return MT_OK;
}
static const mt_row_table table = {sizeof table, 0, judge};
OFFER(MT_KIND_FILTER, table)
