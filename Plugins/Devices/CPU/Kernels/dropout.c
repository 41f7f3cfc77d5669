// Dropout and uniform numbers that are functions of seed, stream and element index alone: nothing need be kept for the gradient.
#include "cpu_ops.h"
#include "philox.h"

#define DROPOUT_TILE 8192

typedef struct {
    const float *x;
    float *y;
    size_t count;
    float factor;
    uint32_t threshold, stream, seed[2];
} dropout_job;

#define MK_BODY "dropout_body.h"
#include "simd_targets.h"

void mk_dropout(const mk_pool *pool, const float *x, float *y, size_t count, float p, const uint32_t seed[2], uint32_t stream) {
    double scaled = (double)p * 4294967296.0;
    dropout_job job = {.x = x, .y = y, .count = count, .factor = 1 / (1 - p), .stream = stream, .seed = {seed[0], seed[1]}};
    job.threshold = scaled >= 4294967295.0 ? UINT32_MAX : scaled > 0 ? (uint32_t)scaled : 0;
    mk_parallel(pool, mk_ceil_div(count, DROPOUT_TILE), MK_PICK(dropout_tile), &job);
}

static void uniform_tile(void *arg, size_t index, size_t thread) {
    (void)thread;
    const dropout_job *job = arg;
    size_t last = mk_min(job->count, (index + 1) * DROPOUT_TILE);
    for (size_t i = index * DROPOUT_TILE; i < last; i += 4) {
        uint64_t counter = i / 4;
        uint32_t words[4];
        philox((uint32_t[4]){(uint32_t)counter, (uint32_t)(counter >> 32), job->stream, 0}, job->seed, words);
        for (size_t w = 0; w < mk_min(4, last - i); w++) job->y[i + w] = (float)(words[w] >> 8) * 0x1p-24f;
    }
}

void mk_uniform(const mk_pool *pool, float *y, size_t count, const uint32_t seed[2], uint32_t stream) {
    dropout_job job = {.y = y, .count = count, .stream = stream, .seed = {seed[0], seed[1]}};
    mk_parallel(pool, mk_ceil_div(count, DROPOUT_TILE), uniform_tile, &job);
}
