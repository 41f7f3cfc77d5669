// Gradient of attention over flat tokens. The probabilities are computed again from lse, transposed: rows are keys and lanes are
// queries, so that lse and delta are vectors, and the products with P^T and dS^T need no transposition.
//
//   P = exp(S - lse)    dV = P^T dO    dP = dO V^T    dS = P (dP - delta) * slope    dQ = dS K    dK = dS^T Q    delta = rowsum(dO O)
//
// A task is one segment and some query heads of one kv head ("part"). Where there are few kv heads a group is split in parts, whose
// dK and dV are added in order at the end; the split depends on the shape alone.
#include "attention_job.h"

#define BACK_KEYS 96
#define BACK_KEY_PANELS (BACK_KEYS / PANEL)
#define BACK_QUERIES 64
#define BACK_QUERY_PANELS (BACK_QUERIES / PANEL)
/// Tasks of a segment that suffice to keep the threads of most machines busy.
#define BACK_TASKS 8

typedef struct {
    const float *dout, *q, *k, *v, *sinks, *out, *lse;
    float *dq, *dk, *dv;
    mk_attention_shape shape;
    bool dot;
    size_t group, parts, part_heads;
    size_t width2, value2;    // widths padded to an even number
    size_t width16, value16;  // and to a multiple of 16
    float *part_dk, *part_dv;  // [parts][Tk, Hk, width], only with several parts
    float *sink_sums;          // [segments][Hq]
    uint8_t *thread_scratch;
    size_t thread_bytes, longest;
} backward_job;

/// Scratch of one thread. Panels of K kind (for scores) and of V kind (for sums) of all queries of a head in the segment; rows and V
/// kind panels of a block of keys.
typedef struct {
    void *q_panels, *dout_panels, *q_values, *dout_values, *key_rows, *value_rows, *key_values;
    void *p, *ds, *ds_turned;
    float *scores, *dp, *dk, *dv, *lse, *delta, *dq;
} backward_scratch;

static backward_scratch take(const backward_job *job, uint8_t **cursor) {
    size_t size = job->dot ? sizeof(uint16_t) : sizeof(float), queries = mk_ceil_div(job->longest, BACK_QUERIES) * BACK_QUERIES;
    backward_scratch s;
    s.q_panels = mk_take(cursor, queries * job->width2 * size);
    s.dout_panels = mk_take(cursor, queries * job->value2 * size);
    s.q_values = mk_take(cursor, queries * job->width16 * size);
    s.dout_values = mk_take(cursor, queries * job->value16 * size);
    s.lse = mk_take(cursor, queries * sizeof(float));
    s.delta = mk_take(cursor, queries * sizeof(float));
    s.dq = mk_take(cursor, job->shape.width % 16 ? queries * job->width16 * sizeof(float) : 0);
    s.key_rows = mk_take(cursor, BACK_KEYS * job->width2 * size);
    s.value_rows = mk_take(cursor, BACK_KEYS * job->value2 * size);
    s.key_values = mk_take(cursor, BACK_KEYS * job->width16 * size);
    s.p = mk_take(cursor, BACK_KEYS * BACK_QUERIES * size);
    s.ds = mk_take(cursor, BACK_KEYS * BACK_QUERIES * size);
    s.ds_turned = mk_take(cursor, BACK_KEYS * BACK_QUERIES * size);
    s.scores = mk_take(cursor, BACK_KEYS * BACK_QUERIES * sizeof(float));
    s.dp = mk_take(cursor, BACK_KEYS * BACK_QUERIES * sizeof(float));
    s.dk = mk_take(cursor, BACK_KEYS * job->width16 * sizeof(float));
    s.dv = mk_take(cursor, BACK_KEYS * job->value16 * sizeof(float));
    return s;
}

#define MK_BODY "attention_backward_body.h"
#define MK_BODY_DOT
#include "simd_targets.h"
#undef MK_BODY_DOT

static backward_job prepare(const mk_pool *pool, const mk_attention_shape *shape, bool running, uint8_t *scratch, size_t *bytes) {
    backward_job job = {.shape = *shape, .dot = shape->precision == MK_PRECISION_BF16 && mk_current_level() >= MK_LEVEL_AVX512_DOT};
    mk_attention_shape *s = &job.shape;
    if (!s->q_stride) s->q_stride = s->query_heads * s->width;
    if (!s->k_stride) s->k_stride = s->kv_heads * s->width;
    if (!s->v_stride) s->v_stride = s->kv_heads * s->value_width;
    job.group = s->kv_heads ? s->query_heads / s->kv_heads : 0;
    size_t wanted = mk_max(1, mk_min(job.group, s->kv_heads ? mk_ceil_div(BACK_TASKS, s->kv_heads) : 1));
    job.part_heads = mk_max(1, mk_ceil_div(job.group, wanted));
    job.parts = mk_max(1, mk_ceil_div(job.group, job.part_heads));
    job.width2 = (s->width + 1) & ~(size_t)1;
    job.value2 = (s->value_width + 1) & ~(size_t)1;
    job.width16 = mk_ceil_div(s->width, 16) * 16;
    job.value16 = mk_ceil_div(s->value_width, 16) * 16;
    // Before it runs nothing is known of the segments but their number: one may hold all queries.
    job.longest = running ? 0 : s->query_tokens;
    for (size_t i = 0; running && i < s->segments; i++)
        job.longest = mk_max(job.longest, (size_t)(s->q_segments[i + 1] - s->q_segments[i]));
    uint8_t *cursor = scratch;
    if (job.parts > 1) {
        job.part_dk = mk_take(&cursor, job.parts * s->key_tokens * s->kv_heads * s->width * sizeof(float));
        job.part_dv = mk_take(&cursor, job.parts * s->key_tokens * s->kv_heads * s->value_width * sizeof(float));
    }
    job.sink_sums = mk_take(&cursor, s->segments * s->query_heads * sizeof(float));
    uint8_t *start = cursor;
    take(&job, &cursor);
    job.thread_bytes = mk_align_up((size_t)(cursor - start)) + MK_ALIGN;
    job.thread_scratch = start;
    *bytes = (size_t)(start - scratch) + mk_threads(pool) * job.thread_bytes + MK_ALIGN;
    return job;
}

size_t mk_attention_backward_scratch_bytes(const mk_pool *pool, const mk_attention_shape *shape) {
    size_t bytes;
    prepare(pool, shape, false, (uint8_t *)(uintptr_t)MK_ALIGN, &bytes);
    return bytes;
}

/// Adds the parts of dk or dv for a range of elements, in order.
typedef struct {
    const float *parts;
    float *to;
    size_t count, part_count;
} part_sum;

static void add_parts(void *arg, size_t index, size_t thread) {
    (void)thread;
    const part_sum *sum = arg;
    size_t first = index * 8192, last = mk_min(sum->count, first + 8192);
    for (size_t i = first; i < last; i++) sum->to[i] = sum->parts[i];
    for (size_t part = 1; part < sum->part_count; part++)
        for (size_t i = first; i < last; i++) sum->to[i] += sum->parts[part * sum->count + i];
}

void mk_attention_backward(const mk_pool *pool, const float *dout, const float *q, const float *k, const float *v, const float *sinks,
                           const float *out, const float *lse, float *dq, float *dk, float *dv, float *dsinks,
                           const mk_attention_shape *shape, void *scratch) {
    size_t ignored;
    backward_job job = prepare(pool, shape, true, scratch, &ignored);
    job.dout = dout, job.q = q, job.k = k, job.v = v, job.sinks = sinks, job.out = out, job.lse = lse;
    job.dq = dq, job.dk = dk, job.dv = dv;
    size_t keys = shape->key_tokens * shape->kv_heads * shape->width, values = shape->key_tokens * shape->kv_heads * shape->value_width;
    mk_fill(pool, dq, 0, shape->query_tokens * shape->query_heads * shape->width);
    if (job.parts > 1) {
        mk_fill(pool, job.part_dk, 0, job.parts * keys);
        mk_fill(pool, job.part_dv, 0, job.parts * values);
    } else {
        job.part_dk = dk;
        job.part_dv = dv;
        mk_fill(pool, dk, 0, keys);
        mk_fill(pool, dv, 0, values);
    }
    memset(job.sink_sums, 0, shape->segments * shape->query_heads * sizeof(float));
    mk_parallel(pool, shape->segments * shape->kv_heads * job.parts, MK_PICK_DOT(backward_part, job.dot), &job);
    if (job.parts > 1) {
        part_sum sum = {job.part_dk, dk, keys, job.parts};
        mk_parallel(pool, mk_ceil_div(keys, 8192), add_parts, &sum);
        sum = (part_sum){job.part_dv, dv, values, job.parts};
        mk_parallel(pool, mk_ceil_div(values, 8192), add_parts, &sum);
    }
    if (!dsinks) return;
    for (size_t head = 0; head < shape->query_heads; head++) {
        float sum = 0;
        for (size_t s = 0; s < shape->segments; s++) sum += job.sink_sums[s * shape->query_heads + head];
        dsinks[head] = sum;
    }
}
