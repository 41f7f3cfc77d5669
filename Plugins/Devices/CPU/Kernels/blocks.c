// One byte a number: an index into 256 ascending values, and a scale a block.
#include <math.h>

#include "cpu_ops.h"

/// Blocks that one task takes.
#define BLOCKS_A_TASK 32

typedef struct {
    const float *x;
    const float *values;
    float *y;
    uint8_t *codes;
    float *scales;
    size_t count, block;
} block_job;

/// The index of the nearest value: the midpoints between neighbours part them, so 8 halvings find it.
static uint8_t nearest(const float *middles, float x) {
    unsigned at = 0;
    for (unsigned half = 128; half; half /= 2) at += x > middles[at + half - 1] ? half : 0;
    return (uint8_t)at;
}

static void quantize_blocks(void *arg, size_t index, size_t thread) {
    (void)thread;
    const block_job *job = arg;
    float middles[255];
    for (int i = 0; i < 255; i++) middles[i] = 0.5f * (job->values[i] + job->values[i + 1]);
    size_t end = mk_min(job->count, (index + 1) * BLOCKS_A_TASK * job->block);
    for (size_t first = index * BLOCKS_A_TASK * job->block; first < end; first += job->block) {
        size_t last = mk_min(first + job->block, end);
        float largest = 0;
        for (size_t i = first; i < last; i++) {
            float magnitude = fabsf(job->x[i]);
            largest = magnitude > largest ? magnitude : largest;
        }
        job->scales[first / job->block] = largest;
        float factor = largest > 0 ? 1 / largest : 0;
        // Below f32's normal numbers the reciprocal overflows; such a block divides.
        bool divides = factor > 3e38f;
        for (size_t i = first; i < last; i++)
            job->codes[i] = nearest(middles, divides ? job->x[i] / largest : job->x[i] * factor);
    }
}

void mk_quantize_blocks(const mk_pool *pool, const float *x, const float *values, size_t count, size_t block, uint8_t *codes,
                        float *scales) {
    block_job job = {.x = x, .values = values, .codes = codes, .scales = scales, .count = count, .block = block};
    mk_parallel(pool, mk_ceil_div(mk_ceil_div(count, block), BLOCKS_A_TASK), quantize_blocks, &job);
}

static void dequantize_blocks(void *arg, size_t index, size_t thread) {
    (void)thread;
    const block_job *job = arg;
    size_t end = mk_min(job->count, (index + 1) * BLOCKS_A_TASK * job->block);
    for (size_t first = index * BLOCKS_A_TASK * job->block; first < end; first += job->block) {
        float scale = job->scales[first / job->block];
        for (size_t i = first; i < mk_min(first + job->block, end); i++) job->y[i] = job->values[job->codes[i]] * scale;
    }
}

void mk_dequantize_blocks(const mk_pool *pool, const uint8_t *codes, const float *scales, const float *values, size_t count,
                          size_t block, float *y) {
    block_job job = {.values = values, .y = y, .codes = (uint8_t *)codes, .scales = (float *)scales, .count = count, .block = block};
    mk_parallel(pool, mk_ceil_div(mk_ceil_div(count, block), BLOCKS_A_TASK), dequantize_blocks, &job);
}
