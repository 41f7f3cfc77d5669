// Copies between strided views and types. Every conversion is an elementwise program of no instructions, except the transposes of
// dense f32, which go by square tiles so that both sides are touched a cache line at a time, and copies that only move bytes.
#include "cpu_ops.h"

#define COPY_TILE 16384
/// Side of the squares that a transpose goes by: 256 bytes on both sides.
#define TRANSPOSE_TILE 64
#define COPY_STREAM_BYTES ((size_t)24 << 20)

void mk_cast(const mk_pool *pool, const void *from, mk_dtype from_type, void *to, mk_dtype to_type, size_t count) {
    int64_t one = 1, shape = (int64_t)count;
    mk_copy_nd(pool, from, from_type, &one, to, to_type, &one, &shape, 1);
}

typedef struct {
    const uint8_t *from;
    uint8_t *to;
    size_t rank, size, run, run_bytes, runs_per_index, runs;
    int64_t shape[MK_MAX_RANK], from_strides[MK_MAX_RANK], to_strides[MK_MAX_RANK];
    size_t column_tiles, row_tiles, tiles;
    bool stream;  // the result would leave the cache anyway: store it past the cache
} copy_job;

static void offsets(const copy_job *job, size_t index, size_t rank, int64_t *from, int64_t *to) {
    *from = *to = 0;
    for (size_t d = rank; d-- > 0;) {
        int64_t at = (int64_t)(index % (size_t)job->shape[d]);
        index /= (size_t)job->shape[d];
        *from += at * job->from_strides[d];
        *to += at * job->to_strides[d];
    }
}

/// Copies whole runs of the last axis, which is dense on both sides.
static void copy_runs(void *arg, size_t index, size_t thread) {
    (void)thread;
    const copy_job *job = arg;
    size_t last = mk_min(job->runs, (index + 1) * job->runs_per_index);
    for (size_t run = index * job->runs_per_index; run < last; run++) {
        int64_t from, to;
        size_t piece = run % job->column_tiles;
        offsets(job, run / job->column_tiles, job->rank - 1, &from, &to);
        size_t first = piece * COPY_TILE, count = mk_min(COPY_TILE, job->run - first);
        memcpy(job->to + ((size_t)to + first) * job->size, job->from + ((size_t)from + first) * job->size, count * job->size);
    }
}

#define MK_BODY "copy_body.h"
#include "simd_targets.h"

/// Joins axes that both sides walk as one and drops axes of extent 1.
static void join(copy_job *job) {
    size_t rank = 0;
    for (size_t d = 0; d < job->rank; d++) {
        if (job->shape[d] == 1) continue;
        bool joins = rank && job->from_strides[rank - 1] == job->from_strides[d] * job->shape[d]
            && job->to_strides[rank - 1] == job->to_strides[d] * job->shape[d];
        size_t to = joins ? rank - 1 : rank++;
        job->shape[to] = joins ? job->shape[to] * job->shape[d] : job->shape[d];
        job->from_strides[to] = job->from_strides[d];
        job->to_strides[to] = job->to_strides[d];
    }
    if (!rank) {
        job->shape[0] = job->from_strides[0] = job->to_strides[0] = 1;
        rank = 1;
    }
    job->rank = rank;
}

void mk_copy_nd(const mk_pool *pool, const void *from, mk_dtype from_type, const int64_t *from_strides, void *to, mk_dtype to_type,
                const int64_t *to_strides, const int64_t *shape, size_t rank) {
    copy_job job = {.from = from, .to = to, .rank = rank, .size = mk_dtype_size(from_type)};
    if (rank > MK_MAX_RANK) return;
    size_t count = 1;
    for (size_t d = 0; d < rank; d++) {
        if (shape[d] <= 0) return;
        job.shape[d] = shape[d];
        job.from_strides[d] = from_strides[d];
        job.to_strides[d] = to_strides[d];
        count *= (size_t)shape[d];
    }
    join(&job);
    size_t inner = job.rank - 1;
    if (from_type == to_type && job.from_strides[inner] == 1 && job.to_strides[inner] == 1) {
        job.run = (size_t)job.shape[inner];
        job.column_tiles = mk_ceil_div(job.run, COPY_TILE);
        job.runs = count / job.run * job.column_tiles;
        job.runs_per_index = mk_max(1, COPY_TILE / job.run);
        mk_parallel(pool, mk_ceil_div(job.runs, job.runs_per_index), copy_runs, &job);
        return;
    }
    if (from_type == to_type && job.size == 4 && job.rank > 1 && job.to_strides[inner] == 1 && job.from_strides[inner - 1] == 1) {
        job.column_tiles = mk_ceil_div((size_t)job.shape[inner], TRANSPOSE_TILE);
        job.row_tiles = mk_ceil_div((size_t)job.shape[inner - 1], TRANSPOSE_TILE);
        job.stream = count * job.size >= COPY_STREAM_BYTES;
        size_t outer = count / (size_t)(job.shape[inner] * job.shape[inner - 1]);
        mk_parallel(pool, outer * job.row_tiles * job.column_tiles, MK_PICK(copy_tile), &job);
        return;
    }
    mk_ew_operand in = {.data = (void *)(uintptr_t)from, .type = from_type}, out = {.data = to, .type = to_type};
    // Integers above 2^24 would lose digits as floats: they move as the bits of floats, which a program without instructions keeps.
    if (from_type == MK_DTYPE_I32 && to_type == MK_DTYPE_I32) in.type = out.type = MK_DTYPE_F32;
    memcpy(in.strides, job.from_strides, sizeof in.strides);
    memcpy(out.strides, job.to_strides, sizeof out.strides);
    mk_ew_program program = {.inputs = &in, .input_count = 1, .outputs = &out, .output_count = 1, .rank = job.rank};
    memcpy(program.shape, job.shape, sizeof program.shape);
    mk_ew_run(pool, &program);
}

typedef struct {
    float *to, value;
    size_t count;
} fill_job;

static void fill_part(void *arg, size_t index, size_t thread) {
    (void)thread;
    const fill_job *job = arg;
    for (size_t i = index * COPY_TILE; i < mk_min((index + 1) * COPY_TILE, job->count); i++) job->to[i] = job->value;
}

void mk_fill(const mk_pool *pool, float *to, float value, size_t count) {
    fill_job job = {.to = to, .value = value, .count = count};
    mk_parallel(pool, mk_ceil_div(count, COPY_TILE), fill_part, &job);
}
