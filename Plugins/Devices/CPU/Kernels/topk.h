// The k largest of one row, shared by mk_topk and sampling.
#ifndef MARTLET_TOPK_H
#define MARTLET_TOPK_H

#include "cpu_common.h"

/// Values and indices in falling order, equal values by rising index; k <= width.
void mk_topk_row(const float *x, size_t width, size_t k, float *values, int32_t *indices);

#endif
