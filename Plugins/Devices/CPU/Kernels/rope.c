// Rotary position embedding (Su et al. 2021, arXiv:2104.09864): the variants differ in the frequencies and scale that the caller gives,
// in which elements form a pair, and in which of several position rows a pair listens to.
#include "cpu_ops.h"

/// Pairs whose cos and sin are made at a time, on the stack.
#define ROPE_PAIRS 256
#define ROPE_TILE 16384

typedef struct {
    const float *x, *frequencies;
    const int32_t *positions;
    const uint8_t *axis;
    float *y;
    mk_rope_shape shape;
    size_t tokens_per_index;
} rope_job;

#define MK_BODY "rope_body.h"
#include "simd_targets.h"

void mk_rope(const mk_pool *pool, const float *x, const int32_t *positions, const uint8_t *axis, const float *frequencies, float *y,
             const mk_rope_shape *shape) {
    size_t row = shape->heads * shape->width;
    if (!shape->tokens || !row) return;
    rope_job job = {.x = x, .frequencies = frequencies, .positions = positions, .axis = axis, .y = y, .shape = *shape};
    if (!job.shape.x_stride) job.shape.x_stride = row;
    if (!job.shape.y_stride) job.shape.y_stride = row;
    job.tokens_per_index = mk_max(1, ROPE_TILE / row);
    mk_parallel(pool, mk_ceil_div(shape->tokens, job.tokens_per_index), MK_PICK(rope_tokens), &job);
}
