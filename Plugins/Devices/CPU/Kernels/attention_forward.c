// Attention over flat tokens with segments: keys and values are packed once, then blocks of rows run over them. No matrix of
// tokens by tokens exists; scratch grows with the number of keys.
#include "attention_job.h"

typedef struct {
    const float *q, *k, *v, *sinks;
    float *out, *lse;
    mk_attention_shape shape;
    attention_form form;
    bool dot;
    int32_t *panel_starts;  // [segments + 1] panels before each segment
    int32_t *block_starts;  // [segments + 1] blocks of rows before each segment, for one kv head
    uint8_t *packed_keys, *packed_values;
    size_t key_panel_bytes, value_panel_bytes, panels, blocks;
    uint8_t *thread_scratch;
    size_t thread_bytes;
} attention_job;

#define MK_BODY "attention_forward_body.h"
#define MK_BODY_DOT
#include "simd_targets.h"
#undef MK_BODY_DOT

static bool uses_dot(const mk_attention_shape *shape) {
    return shape->precision == MK_PRECISION_BF16 && mk_current_level() >= MK_LEVEL_AVX512_DOT;
}

static attention_form form_of(const mk_attention_shape *shape) {
    attention_form form = {.group = shape->kv_heads ? shape->query_heads / shape->kv_heads : 0, .width = shape->width,
                           .value_width = shape->value_width, .scale = shape->scale, .softcap = shape->softcap, .window = shape->window,
                           .causal = shape->causal};
    form.padded_width = (shape->width + 1) & ~(size_t)1;
    form.padded_value_width = mk_ceil_div(shape->value_width, 16) * 16;
    return form;
}

size_t mk_attention_scratch_bytes(const mk_pool *pool, const mk_attention_shape *shape) {
    attention_form form = form_of(shape);
    size_t size = uses_dot(shape) ? sizeof(uint16_t) : sizeof(float);
    size_t panels = (shape->key_tokens / PANEL + shape->segments + 1) * shape->kv_heads;
    return 2 * mk_align_up((shape->segments + 1) * sizeof(int32_t)) + mk_align_up(panels * PANEL * form.padded_width * size)
        + mk_align_up(panels * PANEL * form.padded_value_width * size) + mk_threads(pool) * mk_align_up(attention_thread_bytes(&form))
        + 6 * MK_ALIGN;
}

void mk_attention(const mk_pool *pool, const float *q, const float *k, const float *v, const float *sinks, float *out, float *lse,
                  const mk_attention_shape *shape, void *scratch) {
    attention_job job = {.q = q, .k = k, .v = v, .sinks = sinks, .out = out, .lse = lse, .shape = *shape, .form = form_of(shape),
                         .dot = uses_dot(shape)};
    if (!job.form.group || !shape->segments) return;
    if (!job.shape.q_stride) job.shape.q_stride = shape->query_heads * shape->width;
    if (!job.shape.k_stride) job.shape.k_stride = shape->kv_heads * shape->width;
    if (!job.shape.v_stride) job.shape.v_stride = shape->kv_heads * shape->value_width;
    uint8_t *cursor = scratch;
    job.panel_starts = mk_take(&cursor, (shape->segments + 1) * sizeof(int32_t));
    job.block_starts = mk_take(&cursor, (shape->segments + 1) * sizeof(int32_t));
    job.panel_starts[0] = job.block_starts[0] = 0;
    for (size_t s = 0; s < shape->segments; s++) {
        size_t keys = (size_t)(shape->k_segments[s + 1] - shape->k_segments[s]);
        size_t rows = (size_t)(shape->q_segments[s + 1] - shape->q_segments[s]) * job.form.group;
        job.panel_starts[s + 1] = job.panel_starts[s] + (int32_t)mk_ceil_div(keys, PANEL);
        job.block_starts[s + 1] = job.block_starts[s] + (int32_t)mk_ceil_div(rows, ATTENTION_ROWS);
    }
    job.panels = (size_t)job.panel_starts[shape->segments];
    job.blocks = (size_t)job.block_starts[shape->segments];
    size_t size = job.dot ? sizeof(uint16_t) : sizeof(float);
    job.key_panel_bytes = PANEL * job.form.padded_width * size;
    job.value_panel_bytes = PANEL * job.form.padded_value_width * size;
    job.packed_keys = mk_take(&cursor, job.panels * shape->kv_heads * job.key_panel_bytes);
    job.packed_values = mk_take(&cursor, job.panels * shape->kv_heads * job.value_panel_bytes);
    job.thread_bytes = mk_align_up(attention_thread_bytes(&job.form));
    job.thread_scratch = mk_take(&cursor, mk_threads(pool) * job.thread_bytes);
    // Rows outside of all segments see nothing.
    size_t covered[2] = {(size_t)shape->q_segments[0], (size_t)shape->q_segments[shape->segments]};
    size_t row = shape->query_heads * shape->value_width;
    mk_fill(pool, out, 0, covered[0] * row);
    mk_fill(pool, out + covered[1] * row, 0, (shape->query_tokens - covered[1]) * row);
    if (lse) {
        mk_fill(pool, lse, -INFINITY, covered[0] * shape->query_heads);
        mk_fill(pool, lse + covered[1] * shape->query_heads, -INFINITY, (shape->query_tokens - covered[1]) * shape->query_heads);
    }
    mk_parallel(pool, mk_ceil_div(job.panels, ATTENTION_PANELS) * shape->kv_heads, MK_PICK_DOT(pack_panels, job.dot), &job);
    mk_parallel(pool, job.blocks * shape->kv_heads, MK_PICK_DOT(attend_rows, job.dot), &job);
}
