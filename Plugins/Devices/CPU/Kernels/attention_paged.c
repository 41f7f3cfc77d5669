// Attention over a cache in blocks: new keys and values are written first, then blocks of rows run over the cache's panels as they lie
// (or, where the cache is of another type than the products, over panels converted a few at a time). Prefill chunks and decoding rows
// differ only in how many rows they have. Few rows over a long context are split along the context, and their parts joined in order.
#include "attention_job.h"

/// Calls with fewer sequences times kv heads than this are split along the context.
#define PAGED_FEW_TASKS 16
#define PAGED_SPLIT_KEYS 512
#define PAGED_MOST_SPLITS 8

typedef struct {
    const float *q, *k, *v, *sinks;
    uint8_t *k_cache, *v_cache;
    float *out;
    mk_paged_shape shape;
    attention_form form;
    bool dot, paired;         // paired: pairs of elements lie together, as bf16 products want them
    bool k_direct, v_direct;  // panels are read where they lie
    size_t cache_size;        // bytes of an element
    int32_t *task_starts;     // [segments + 1] tasks of one kv head before each segment
    size_t tasks;
    float *parts;             // [tasks * kv heads][48][padded value width + 2] of split segments
    uint8_t *thread_scratch;
    size_t thread_bytes;
} paged_job;

/// Number of pieces that a segment's context is cut into, by shapes and contexts alone.
static size_t splits_of(const mk_paged_shape *shape, size_t rows, size_t context) {
    if (shape->segments * shape->kv_heads >= PAGED_FEW_TASKS || rows > ATTENTION_ROWS) return 1;
    return mk_max(1, mk_min(PAGED_MOST_SPLITS, context / PAGED_SPLIT_KEYS));
}

/// Panels per piece of a segment.
static size_t split_panels(size_t context, size_t splits) {
    return mk_ceil_div(mk_ceil_div(mk_ceil_div(context, PANEL), splits), ATTENTION_PANELS) * ATTENTION_PANELS;
}

/// Byte offset of the panel that holds position `key` of a sequence, from the start of a cache with `width` elements a key.
static size_t panel_offset(const paged_job *job, size_t segment, size_t key, size_t head, size_t width) {
    const mk_paged_shape *shape = &job->shape;
    size_t block = (size_t)shape->block_table[segment * shape->table_stride + key / shape->block_size];
    return ((block * shape->kv_heads + head) * shape->block_size + key % shape->block_size / PANEL * PANEL) * width * job->cache_size;
}

/// Floats of the unfinished result of a block of rows.
static size_t part_floats(const paged_job *job) { return ATTENTION_ROWS * (job->form.padded_value_width + 2); }

#define MK_BODY "attention_paged_body.h"
#define MK_BODY_DOT
#include "simd_targets.h"
#undef MK_BODY_DOT

static paged_job prepare(const mk_paged_shape *shape) {
    paged_job job = {.shape = *shape, .cache_size = mk_dtype_size(shape->cache_type)};
    mk_paged_shape *s = &job.shape;
    if (!s->q_stride) s->q_stride = s->query_heads * s->width;
    if (!s->k_stride) s->k_stride = s->kv_heads * s->width;
    if (!s->v_stride) s->v_stride = s->kv_heads * s->value_width;
    job.dot = s->precision == MK_PRECISION_BF16 && mk_current_level() >= MK_LEVEL_AVX512_DOT;
    job.paired = s->cache_type == MK_DTYPE_BF16 && s->width % 2 == 0;
    job.form = (attention_form){.group = s->kv_heads ? s->query_heads / s->kv_heads : 0, .width = s->width, .value_width = s->value_width,
                                .scale = s->scale, .softcap = s->softcap, .window = s->window, .causal = true};
    job.form.padded_width = (s->width + 1) & ~(size_t)1;
    job.form.padded_value_width = mk_ceil_div(s->value_width, 16) * 16;
    bool same = job.dot ? job.paired : s->cache_type == MK_DTYPE_F32;
    job.k_direct = same && s->width % 2 == 0;
    job.v_direct = same && s->value_width % 16 == 0;
    job.thread_bytes = mk_align_up(attention_thread_bytes(&job.form))
        + mk_align_up(ATTENTION_PANELS * PANEL * job.form.padded_width * sizeof(float))
        + mk_align_up(ATTENTION_PANELS * PANEL * job.form.padded_value_width * sizeof(float)) + MK_ALIGN;
    return job;
}

static size_t most_parts(const mk_paged_shape *shape) {
    return shape->segments * shape->kv_heads < PAGED_FEW_TASKS ? shape->segments * shape->kv_heads * PAGED_MOST_SPLITS : 0;
}

size_t mk_attention_paged_scratch_bytes(const mk_pool *pool, const mk_paged_shape *shape) {
    paged_job job = prepare(shape);
    // Parts are indexed by task; segments that are not split have one task for each 48 rows.
    size_t tasks = most_parts(shape) ? most_parts(shape) + (shape->tokens * job.form.group / ATTENTION_ROWS + 1) * shape->kv_heads : 0;
    return mk_align_up((shape->segments + 1) * sizeof(int32_t)) + mk_align_up(tasks * part_floats(&job) * sizeof(float))
        + mk_threads(pool) * job.thread_bytes + 4 * MK_ALIGN;
}

static bool within_bounds(const paged_job *job) {
    const mk_paged_shape *s = &job->shape;
    if (s->block_size == 0 || s->block_size % PANEL) return false;
    for (size_t t = 0; t < s->tokens; t++)
        if (s->slots[t] >= 0 && (size_t)s->slots[t] >= s->blocks * s->block_size) return false;
    for (size_t i = 0; i < s->segments; i++) {
        int32_t first = s->q_segments[i], last = s->q_segments[i + 1];
        if (first < 0 || last < first || (size_t)last > s->tokens || s->context[i] < 0) return false;
        size_t blocks = mk_ceil_div((size_t)s->context[i], s->block_size);
        if (blocks > s->table_stride) return false;
        for (size_t b = 0; b < blocks; b++) {
            int32_t block = s->block_table[i * s->table_stride + b];
            if (block < 0 || (size_t)block >= s->blocks) return false;
        }
    }
    return true;
}

bool mk_attention_paged(const mk_pool *pool, const float *q, const float *k, const float *v, void *k_cache, void *v_cache,
                        const float *sinks, float *out, const mk_paged_shape *shape, void *scratch) {
    paged_job job = prepare(shape);
    if (!within_bounds(&job)) return false;
    job.q = q, job.k = k, job.v = v, job.k_cache = k_cache, job.v_cache = v_cache, job.sinks = sinks, job.out = out;
    if (!job.form.group || !shape->tokens) return true;
    uint8_t *cursor = scratch;
    job.task_starts = mk_take(&cursor, (shape->segments + 1) * sizeof(int32_t));
    job.task_starts[0] = 0;
    for (size_t s = 0; s < shape->segments; s++) {
        size_t rows = (size_t)(shape->q_segments[s + 1] - shape->q_segments[s]) * job.form.group;
        size_t tasks = mk_ceil_div(rows, ATTENTION_ROWS) * splits_of(shape, rows, (size_t)shape->context[s]);
        job.task_starts[s + 1] = job.task_starts[s] + (int32_t)tasks;
    }
    job.tasks = (size_t)job.task_starts[shape->segments];
    if (most_parts(shape)) job.parts = mk_take(&cursor, job.tasks * shape->kv_heads * part_floats(&job) * sizeof(float));
    job.thread_scratch = mk_take(&cursor, mk_threads(pool) * job.thread_bytes);
    size_t covered = shape->segments ? (size_t)shape->q_segments[shape->segments] : 0;
    mk_fill(pool, out + covered * shape->query_heads * shape->value_width, 0,
            (shape->tokens - covered) * shape->query_heads * shape->value_width);
    mk_parallel(pool, shape->tokens, MK_PICK_DOT(write_token, job.dot), &job);
    mk_parallel(pool, job.tasks * shape->kv_heads, MK_PICK_DOT(attend_paged, job.dot), &job);
    if (job.parts) mk_parallel(pool, shape->segments * shape->kv_heads, MK_PICK_DOT(join_parts, job.dot), &job);
    return true;
}
