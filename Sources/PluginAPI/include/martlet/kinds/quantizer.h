/* Kind "martlet.quantizer/1" (draft): weights to a block layout. */
#ifndef MARTLET_KINDS_QUANTIZER_H
#define MARTLET_KINDS_QUANTIZER_H

#include "../base.h"

#define MT_KIND_QUANTIZER "martlet.quantizer/1"

typedef struct mt_quantizer_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* What becomes of the tensor `name` of `shape`: JSON {"layout": "nf4" | null (left alone), "bytes": n,
     * "statistics": "none" | "hessian" | "magnitude", "max_relative_error": bound of the mean squared error over that
     * of the weight}. [any] */
    mt_status (*plan)(void *ctx, mt_str settings, mt_str name, const int64_t *shape, size_t rank, mt_sink out, mt_error *error);
    /* Quantizes rows of f32 weights [rows, columns] into `out`, which has the planned size. `statistics` is what plan
     * asked for: f32 [columns, columns] or [columns]. [any] */
    mt_status (*quantize)(void *ctx, mt_str settings, mt_str name, const float *weight, int64_t rows, int64_t columns,
                          const float *statistics, void *out, uint64_t size, mt_error *error);
} mt_quantizer_table;

#endif
