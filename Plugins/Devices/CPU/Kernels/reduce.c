// Softmax, and reductions along one axis of [outer, n, inner].
#include "cpu_ops.h"
#include "topk.h"

#include <math.h>

#define REDUCE_TILE 16384
/// Columns that are reduced together where the inner axis is not 1.
#define REDUCE_COLUMNS 512
/// Longest run that is summed into one partial sum; longer runs are cut so, whatever the number of threads.
#define REDUCE_RUN 65536

typedef struct {
    const float *x;
    float *y, *partial;
    int32_t *indices;
    size_t outer, n, inner, rows_per_index, runs, column_tiles, k;
    mk_reduction kind;
    bool logarithm, reverse;
} reduce_job;

#define MK_BODY "reduce_body.h"
#include "simd_targets.h"

static void softmax(const mk_pool *pool, const float *x, float *y, size_t rows, size_t width, bool logarithm) {
    reduce_job job = {.x = x, .y = y, .outer = rows, .n = width, .logarithm = logarithm};
    if (!rows || !width) return;
    job.rows_per_index = mk_max(1, REDUCE_TILE / width);
    mk_parallel(pool, mk_ceil_div(rows, job.rows_per_index), MK_PICK(softmax_rows), &job);
}

void mk_softmax(const mk_pool *pool, const float *x, float *y, size_t rows, size_t width) { softmax(pool, x, y, rows, width, false); }
void mk_log_softmax(const mk_pool *pool, const float *x, float *y, size_t rows, size_t width) { softmax(pool, x, y, rows, width, true); }

void mk_logsumexp(const mk_pool *pool, const float *x, float *y, size_t rows, size_t width) {
    reduce_job job = {.x = x, .y = y, .outer = rows, .n = width, .rows_per_index = mk_max(1, REDUCE_TILE / mk_max(width, 1))};
    mk_parallel(pool, mk_ceil_div(rows, job.rows_per_index), MK_PICK(logsumexp_rows), &job);
}

static size_t runs_of(size_t n, size_t inner) { return inner == 1 ? mk_max(1, mk_ceil_div(n, REDUCE_RUN)) : mk_max(1, mk_ceil_div(n, 1024)); }

size_t mk_reduce_scratch_bytes(size_t outer, size_t n, size_t inner) {
    return mk_align_up(outer * runs_of(n, inner) * inner * sizeof(float)) + MK_ALIGN;
}

void mk_reduce(const mk_pool *pool, mk_reduction kind, const float *x, float *y, size_t outer, size_t n, size_t inner, void *scratch) {
    if (!outer || !inner) return;
    uint8_t *cursor = scratch;
    reduce_job job = {.x = x, .y = y, .outer = outer, .n = n, .inner = inner, .kind = kind, .runs = runs_of(n, inner)};
    job.partial = job.runs > 1 ? mk_take(&cursor, outer * job.runs * inner * sizeof(float)) : y;
    if (inner == 1) {
        job.rows_per_index = mk_max(1, REDUCE_TILE / mk_max(n, 1));
        mk_parallel(pool, mk_ceil_div(outer * job.runs, job.rows_per_index), MK_PICK(reduce_rows), &job);
    } else {
        job.column_tiles = mk_ceil_div(inner, REDUCE_COLUMNS);
        mk_parallel(pool, outer * job.runs * job.column_tiles, MK_PICK(reduce_columns), &job);
    }
    if (job.runs > 1) mk_parallel(pool, mk_ceil_div(outer * inner, REDUCE_TILE), MK_PICK(reduce_runs), &job);
    else if (kind == MK_REDUCE_MEAN)
        for (size_t i = 0; i < outer * inner; i++) y[i] /= (float)mk_max(n, 1);
}

static void argmax_part(void *arg, size_t index, size_t thread) {
    (void)thread;
    const reduce_job *job = arg;
    for (size_t at = index * job->rows_per_index; at < mk_min((index + 1) * job->rows_per_index, job->outer * job->inner); at++) {
        const float *x = job->x + at / job->inner * job->n * job->inner + at % job->inner;
        size_t best = 0;
        for (size_t i = 1; i < job->n; i++)
            if (x[i * job->inner] > x[best * job->inner]) best = i;
        job->indices[at] = (int32_t)best;
    }
}

void mk_argmax(const mk_pool *pool, const float *x, int32_t *y, size_t outer, size_t n, size_t inner) {
    if (!n || !outer || !inner) return;
    reduce_job job = {.x = x, .indices = y, .outer = outer, .n = n, .inner = inner, .rows_per_index = mk_max(1, REDUCE_TILE / n)};
    mk_parallel(pool, mk_ceil_div(outer * inner, job.rows_per_index), argmax_part, &job);
}

static void cumsum_part(void *arg, size_t index, size_t thread) {
    (void)thread;
    const reduce_job *job = arg;
    size_t outer = index / job->column_tiles, first = index % job->column_tiles * REDUCE_COLUMNS;
    size_t count = mk_min(REDUCE_COLUMNS, job->inner - first);
    float sums[REDUCE_COLUMNS] = {0};
    for (size_t i = 0; i < job->n; i++) {
        size_t at = (outer * job->n + (job->reverse ? job->n - 1 - i : i)) * job->inner + first;
        for (size_t c = 0; c < count; c++) job->y[at + c] = sums[c] += job->x[at + c];
    }
}

void mk_cumsum(const mk_pool *pool, const float *x, float *y, size_t outer, size_t n, size_t inner, bool reverse) {
    reduce_job job = {.x = x, .y = y, .outer = outer, .n = n, .inner = inner, .reverse = reverse};
    job.column_tiles = mk_ceil_div(inner, REDUCE_COLUMNS);
    mk_parallel(pool, outer * job.column_tiles, cumsum_part, &job);
}

/// a before b in the order of mk_topk.
static bool precedes(const float *x, int32_t a, int32_t b) { return x[a] > x[b] || (x[a] == x[b] && a < b); }

/// Keeps the best k so far in a heap whose root is the worst of them, then sorts the heap.
void mk_topk_row(const float *x, size_t width, size_t k, float *values, int32_t *heap) {
    size_t held = 0;
    for (size_t i = 0; i < width; i++) {
        // Most runs of 16 hold nothing larger than the worst kept: they are passed over without a branch for each.
        while (held == k && i + 16 <= width) {
            float worst = x[heap[0]];
            int larger = 0;
            for (size_t l = 0; l < 16; l++) larger |= x[i + l] > worst;
            if (larger) break;
            i += 16;
        }
        if (i == width) break;
        int32_t candidate = (int32_t)i;
        size_t at;
        if (held < k) {
            at = held++;
            for (; at > 0 && precedes(x, heap[(at - 1) / 2], candidate); at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
        } else {
            if (!precedes(x, candidate, heap[0])) continue;
            at = 0;
            for (size_t child; (child = 2 * at + 1) < held; at = child) {
                if (child + 1 < held && precedes(x, heap[child], heap[child + 1])) child++;
                if (!precedes(x, candidate, heap[child])) break;
                heap[at] = heap[child];
            }
        }
        heap[at] = candidate;
    }
    while (held > 1) {
        int32_t worst = heap[0], candidate = heap[--held];
        size_t at = 0;
        for (size_t child; (child = 2 * at + 1) < held; at = child) {
            if (child + 1 < held && precedes(x, heap[child], heap[child + 1])) child++;
            if (!precedes(x, candidate, heap[child])) break;
            heap[at] = heap[child];
        }
        heap[at] = candidate;
        heap[held] = worst;
    }
    for (size_t i = 0; i < k; i++) values[i] = x[heap[i]];
}

static void topk_part(void *arg, size_t index, size_t thread) {
    (void)thread;
    const reduce_job *job = arg;
    for (size_t row = index * job->rows_per_index; row < mk_min((index + 1) * job->rows_per_index, job->outer); row++)
        mk_topk_row(job->x + row * job->n, job->n, job->k, job->y + row * job->k, job->indices + row * job->k);
}

void mk_topk(const mk_pool *pool, const float *x, float *values, int32_t *indices, size_t rows, size_t width, size_t k) {
    if (!rows || !k || k > width) return;
    reduce_job job = {.x = x, .y = values, .indices = indices, .outer = rows, .n = width, .k = k};
    job.rows_per_index = mk_max(1, REDUCE_TILE / width);
    mk_parallel(pool, mk_ceil_div(rows, job.rows_per_index), topk_part, &job);
}
