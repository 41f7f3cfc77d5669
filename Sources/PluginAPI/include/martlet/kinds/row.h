/* Kinds "martlet.filter/1", "martlet.reward/1" and "martlet.metric/1" (draft): a number from a row of a data set.
 *
 * A function of a plain shared library can stand for each of them without knowing this header: `foreign` in
 * plugins.json gives its symbol and C prototype (Documentation/Foreign-functions.md).
 */
#ifndef MARTLET_KINDS_ROW_H
#define MARTLET_KINDS_ROW_H

#include "../base.h"

#define MT_KIND_FILTER "martlet.filter/1" /* a row is kept when its number is not 0 */
#define MT_KIND_REWARD "martlet.reward/1" /* the higher the better; the answer that is judged is at "completion" */
#define MT_KIND_METRIC "martlet.metric/1" /* the mean over all rows is reported */

/* The table of each of the three. */
typedef struct mt_row_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* The number of `row`, the text of one JSON object. Not finite is a failure. [any] */
    mt_status (*judge)(void *ctx, mt_str row, double *out, mt_error *error);
} mt_row_table;

#endif
