/* A quantizer to blocks of q8_0, 34 bytes for 32 weights, that FILL(block, weights) fills. */
#include "kind.h"
#include <math.h>
static mt_status plan(void *ctx, mt_str settings, mt_str name, const int64_t *shape, size_t rank, mt_sink out, mt_error *error) {
    (void)ctx, (void)settings, (void)name;
    char json[128];
    if (rank != 2) return say(out, "{\"layout\": null}", error);
    snprintf(json, sizeof json, "{\"layout\": \"q8_0\", \"bytes\": %lld, \"max_relative_error\": 0.001}",
             (long long)(shape[0] * shape[1] / 32 * 34));
    return say(out, json, error);
}
static mt_status quantize(void *ctx, mt_str settings, mt_str name, const float *weight, int64_t rows, int64_t columns,
                          const float *statistics, void *out, uint64_t size, mt_error *error) {
    (void)ctx, (void)settings, (void)name, (void)statistics, (void)error, (void)size;
    unsigned char *block = out;
    for (int64_t i = 0; i < rows * columns; i += 32, block += 34) {
        FILL(block, weight + i)
    }
    return MT_OK;
}
static const mt_quantizer_table table = {sizeof table, 0, plan, quantize};
OFFER(MT_KIND_QUANTIZER, table)
