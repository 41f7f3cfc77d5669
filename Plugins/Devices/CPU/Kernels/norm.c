// Root-mean-square and layer norms, forward and backward.
#include "cpu_ops.h"

#include <math.h>

/// Results of at least this size are stored without reading their lines first.
#define NORM_STREAM_BYTES ((size_t)24 << 20)
/// Elements of one parallel index in the forward passes.
#define NORM_TILE 16384
/// Most pieces that the rows are cut into for the gradients of the weights; each piece has partial sums of its own, added in order.
#define NORM_PIECES 32

typedef struct {
    const float *x, *residual, *w, *b, *dy;
    float *sum, *y, *dx, *partial_w, *partial_b, *dw, *db;
    size_t rows, width, rows_per_index, pieces;
    float eps, offset;
    bool centred;
    bool stream;  // the result would leave the cache anyway: store it past the cache
} norm_job;

#define MK_BODY "norm_body.h"
#include "simd_targets.h"

static size_t rows_per_index(size_t width) { return mk_max(1, NORM_TILE / mk_max(width, 1)); }

static bool streams(const norm_job *job, const float *to, const float *from) {
    return to && to != from && job->width % 16 == 0 && (uintptr_t)to % 64 == 0
        && job->rows * job->width * sizeof(float) >= NORM_STREAM_BYTES;
}

static void forward(const mk_pool *pool, norm_job *job) {
    job->stream = streams(job, job->y, job->residual ? job->sum : job->x);
    job->rows_per_index = rows_per_index(job->width);
    if (job->rows && job->width)
        mk_parallel(pool, mk_ceil_div(job->rows, job->rows_per_index), job->centred ? MK_PICK(layer_rows) : MK_PICK(rms_rows), job);
}

void mk_rms_norm(const mk_pool *pool, const float *x, const float *residual, float *sum, const float *w, float *y, size_t rows,
                 size_t width, float eps, float offset) {
    norm_job job = {.x = x, .residual = residual, .sum = sum, .w = w, .y = y, .rows = rows, .width = width, .eps = eps, .offset = offset};
    forward(pool, &job);
}

void mk_layer_norm(const mk_pool *pool, const float *x, const float *w, const float *b, float *y, size_t rows, size_t width, float eps) {
    norm_job job = {.x = x, .w = w, .b = b, .y = y, .rows = rows, .width = width, .eps = eps, .centred = true};
    forward(pool, &job);
}

/// The number of pieces depends on the shape alone, so that the order of additions does too.
static size_t piece_count(size_t rows, size_t width) {
    return mk_max(1, mk_min(mk_min(rows, NORM_PIECES), mk_ceil_div(rows * width, 4 * NORM_TILE)));
}

size_t mk_norm_scratch_bytes(size_t rows, size_t width) {
    return 2 * mk_align_up(piece_count(rows, width) * width * sizeof(float)) + MK_ALIGN;
}

static void backward(const mk_pool *pool, norm_job *job, void *scratch) {
    uint8_t *cursor = scratch;
    job->stream = streams(job, job->dx, job->dy) && job->dx != job->x;
    job->pieces = piece_count(job->rows, job->width);
    job->rows_per_index = mk_ceil_div(job->rows, job->pieces);
    size_t bytes = job->pieces * job->width * sizeof(float);
    job->partial_w = job->dw ? mk_take(&cursor, bytes) : NULL;
    job->partial_b = job->db ? mk_take(&cursor, bytes) : NULL;
    mk_parallel(pool, job->pieces, job->centred ? MK_PICK(layer_backward_piece) : MK_PICK(rms_backward_piece), job);
    mk_parallel(pool, mk_ceil_div(job->width, 256), MK_PICK(add_pieces), job);
}

void mk_rms_norm_backward(const mk_pool *pool, const float *dy, const float *x, const float *w, float *dx, float *dw, size_t rows,
                          size_t width, float eps, float offset, void *scratch) {
    norm_job job = {.dy = dy, .x = x, .w = w, .dx = dx, .dw = dw, .rows = rows, .width = width, .eps = eps, .offset = offset};
    backward(pool, &job, scratch);
}

void mk_layer_norm_backward(const mk_pool *pool, const float *dy, const float *x, const float *w, float *dx, float *dw, float *db,
                            size_t rows, size_t width, float eps, void *scratch) {
    norm_job job = {.dy = dy, .x = x, .w = w, .dx = dx, .dw = dw, .db = db, .rows = rows, .width = width, .eps = eps, .centred = true};
    backward(pool, &job, scratch);
}
