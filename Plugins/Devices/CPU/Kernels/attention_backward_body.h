// The tasks of the gradient of attention, for one instruction set. Names as in attention_backward.c.
#include "attention_products.h"
#include "attention_rows.h"

/// Packs the queries and output gradients of one head in a segment, with lse in the unit of the scores, and delta.
/// Rows that do not exist or see nothing get lse = +infinity, which makes their probabilities 0. Returns the sink's gradient.
static float MK_F(pack_queries)(const backward_job *job, const backward_scratch *scratch, size_t first, size_t count, size_t head) {
    const mk_attention_shape *shape = &job->shape;
    size_t heads = shape->query_heads, panels = mk_ceil_div(count, BACK_QUERIES) * BACK_QUERY_PANELS;
    float sink_sum = 0;
    for (size_t panel = 0; panel < panels; panel++) {
        size_t at = panel * PANEL, present = at < count ? mk_min(PANEL, count - at) : 0, token = first + at;
        const float *q = job->q + token * shape->q_stride + head * shape->width;
        const float *dout = job->dout + (token * heads + head) * shape->value_width;
        MK_F(pack_keys)((element *)scratch->q_panels + at * job->width2, q, shape->q_stride, present, shape->width, job->width2);
        MK_F(pack_values)((element *)scratch->q_values + at * job->width16, q, shape->q_stride, present, shape->width, job->width16);
        MK_F(pack_keys)((element *)scratch->dout_panels + at * job->value2, dout, heads * shape->value_width, present,
                        shape->value_width, job->value2);
        MK_F(pack_values)((element *)scratch->dout_values + at * job->value16, dout, heads * shape->value_width, present,
                          shape->value_width, job->value16);
        for (size_t i = 0; i < PANEL; i++) {
            scratch->lse[at + i] = INFINITY;
            scratch->delta[at + i] = 0;
            if (i >= present) continue;
            size_t row = (token + i) * heads + head;
            const float *a = job->dout + row * shape->value_width, *b = job->out + row * shape->value_width;
            vf sum = vset(0);
            for (size_t c = 0; c < shape->value_width; c += VF) {
                size_t n = mk_min(VF, shape->value_width - c);
                sum = vfma(vload_part(a + c, n, 0), vload_part(b + c, n, 0), sum);
            }
            scratch->delta[at + i] = vsum(sum);
            float lse = job->lse[row];
            if (lse == -INFINITY) continue;
            scratch->lse[at + i] = lse * LOG_UNIT;
            if (job->sinks) sink_sum -= expf(job->sinks[head] - lse) * scratch->delta[at + i];
        }
    }
    return sink_sum;
}

/// Turns scores and dp of a block into p and ds, key by key; `position` is the key coordinate of the block's first query.
MK_INLINE void MK_F(differentiate)(const backward_job *job, const backward_scratch *scratch, size_t keys, size_t query, size_t panels,
                                   int64_t first_key, int64_t position) {
    const mk_attention_shape *shape = &job->shape;
    const vf lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    int64_t last_position = position + (int64_t)(panels * PANEL) - 1;
    bool partial = (shape->causal && first_key + (int64_t)keys - 1 > position)
        || (shape->window > 0 && (last_position - first_key >= shape->window
                                  || first_key + (int64_t)keys - 1 - position >= shape->window));
    for (size_t j = 0; j < keys; j++) {
        // Without causality the window reaches to both sides: |query - key| < window.
        float from = shape->causal ? (float)(first_key + (int64_t)j - position)
            : shape->window > 0 ? (float)(first_key + (int64_t)j - position - shape->window + 1) : -INFINITY;
        float to = shape->window > 0 ? (float)(first_key + (int64_t)j - position + shape->window) : INFINITY;
        for (size_t n = 0; n < panels; n++) {
            size_t at = j * BACK_QUERIES + n * PANEL;
            vf s = vload(scratch->scores + at), slope = vset(shape->scale);
            if (shape->softcap > 0) {
                vf t = vtanh(s * (shape->scale / shape->softcap));
                slope *= 1.0f - t * t;
                s = t * (shape->softcap * LOG_UNIT);
            } else {
                s *= shape->scale * LOG_UNIT;
            }
            s -= vload(scratch->lse + query + n * PANEL);
#ifdef MK_DOT
            vf p = vexp2_coarse(s);
#else
            vf p = vexp(s);
#endif
            if (partial) {
                vf i = lane + (float)(n * PANEL);
                p = vselect((i >= from) & (i < to), p, vset(0));
            }
            vf ds = p * (vload(scratch->dp + at) - vload(scratch->delta + query + n * PANEL)) * slope;
            MK_F(store_elements)((element *)scratch->p + at, p);
            MK_F(store_elements)((element *)scratch->ds + at, ds);
            vstore(scratch->scores + at, ds);
        }
    }
}

/// ds [keys][queries] -> ds_turned [queries][BACK_KEYS], zeros for keys that do not exist.
MK_INLINE void MK_F(turn)(const backward_scratch *scratch, size_t keys, size_t panels) {
    for (size_t j = 0; j < keys; j += PANEL)
        for (size_t n = 0; n < panels; n++) {
            vf row[PANEL];
#pragma clang loop unroll(full)
            for (size_t l = 0; l < PANEL; l++)
                row[l] = j + l < keys ? vload(scratch->scores + (j + l) * BACK_QUERIES + n * PANEL) : vset(0);
            vtranspose(row);
#pragma clang loop unroll(full)
            for (size_t l = 0; l < PANEL; l++)
                MK_F(store_elements)((element *)scratch->ds_turned + (n * PANEL + l) * BACK_KEYS + j, row[l]);
        }
}

/// One block of keys against one block of queries (`query` counts from the segment's start).
static void MK_F(backward_block)(const backward_job *job, const backward_scratch *scratch, size_t keys, size_t key, size_t query,
                                 size_t queries, int64_t offset, float *dq, size_t dq_stride) {
    float ones[BACK_KEYS];
    for (size_t i = 0; i < BACK_KEYS; i++) ones[i] = 1;
    size_t panels = mk_ceil_div(queries, PANEL), key_panels = mk_ceil_div(keys, PANEL);
    const element *q[BACK_QUERY_PANELS], *dout[BACK_QUERY_PANELS], *q_values[BACK_QUERY_PANELS], *dout_values[BACK_QUERY_PANELS];
    const element *key_values[BACK_KEY_PANELS];
    for (size_t n = 0; n < panels; n++) {
        size_t at = query + n * PANEL;
        q[n] = (const element *)scratch->q_panels + at * job->width2;
        dout[n] = (const element *)scratch->dout_panels + at * job->value2;
        q_values[n] = (const element *)scratch->q_values + at * job->width16;
        dout_values[n] = (const element *)scratch->dout_values + at * job->value16;
    }
    for (size_t n = 0; n < key_panels; n++) key_values[n] = (const element *)scratch->key_values + n * PANEL * job->width16;
    MK_F(score_block)(keys, scratch->key_rows, job->width2, q, panels, job->width2, scratch->scores, BACK_QUERIES);
    MK_F(score_block)(keys, scratch->value_rows, job->value2, dout, panels, job->value2, scratch->dp, BACK_QUERIES);
    MK_F(differentiate)(job, scratch, keys, query, panels, (int64_t)key, offset + (int64_t)query);
    MK_F(value_block)(keys, scratch->p, BACK_QUERIES, dout_values, panels, job->value16, job->value16, ones, scratch->dv, job->value16);
    MK_F(value_block)(keys, scratch->ds, BACK_QUERIES, q_values, panels, job->width16, job->width16, ones, scratch->dk, job->width16);
    MK_F(turn)(scratch, keys, panels);
    MK_F(value_block)(queries, scratch->ds_turned, BACK_KEYS, key_values, key_panels, job->width16, job->width16, ones, dq, dq_stride);
}

/// Moves rows between a dense block (padded to 16) and a strided tensor.
MK_INLINE void MK_F(load_rows)(float *block, size_t padded, const float *from, size_t stride, size_t rows, size_t width) {
    for (size_t r = 0; r < rows; r++) {
        memcpy(block + r * padded, from + r * stride, width * sizeof(float));
        memset(block + r * padded + width, 0, (padded - width) * sizeof(float));
    }
}

MK_INLINE void MK_F(store_rows)(const float *block, size_t padded, float *to, size_t stride, size_t rows, size_t width) {
    for (size_t r = 0; r < rows; r++) memcpy(to + r * stride, block + r * padded, width * sizeof(float));
}

static void MK_F(backward_part)(void *arg, size_t index, size_t thread) {
    const backward_job *job = arg;
    const mk_attention_shape *shape = &job->shape;
    size_t part = index % job->parts, kv_head = index / job->parts % shape->kv_heads, segment = index / job->parts / shape->kv_heads;
    size_t first_query = (size_t)shape->q_segments[segment], queries = (size_t)shape->q_segments[segment + 1] - first_query;
    size_t first_key = (size_t)shape->k_segments[segment], keys = (size_t)shape->k_segments[segment + 1] - first_key;
    if (!queries || !keys) return;
    int64_t offset = (int64_t)keys - (int64_t)queries;
    uint8_t *cursor = job->thread_scratch + thread * job->thread_bytes;
    backward_scratch scratch = take(job, &cursor);
    size_t k_row = shape->kv_heads * shape->width, v_row = shape->kv_heads * shape->value_width;
    float *dk = job->part_dk + (part * shape->key_tokens + first_key) * k_row + kv_head * shape->width;
    float *dv = job->part_dv + (part * shape->key_tokens + first_key) * v_row + kv_head * shape->value_width;
    size_t last_head = mk_min(job->group, (part + 1) * job->part_heads);
    for (size_t g = part * job->part_heads; g < last_head; g++) {
        size_t head = kv_head * job->group + g;
        job->sink_sums[segment * shape->query_heads + head] = MK_F(pack_queries)(job, &scratch, first_query, queries, head);
        bool direct = shape->width == job->width16;
        float *dq = job->dq + (first_query * shape->query_heads + head) * shape->width;
        size_t dq_row = shape->query_heads * shape->width;
        if (!direct) memset(scratch.dq, 0, queries * job->width16 * sizeof(float));
        for (size_t key = 0; key < keys; key += BACK_KEYS) {
            size_t count = mk_min(BACK_KEYS, keys - key);
            const float *k = job->k + (first_key + key) * shape->k_stride + kv_head * shape->width;
            const float *v = job->v + (first_key + key) * shape->v_stride + kv_head * shape->value_width;
            for (size_t j = 0; j < count; j++) {
                MK_F(pack_row)((element *)scratch.key_rows + j * job->width2, k + j * shape->k_stride, shape->width, job->width2);
                MK_F(pack_row)((element *)scratch.value_rows + j * job->value2, v + j * shape->v_stride, shape->value_width, job->value2);
            }
            for (size_t j = 0; j < count; j += PANEL)
                MK_F(pack_values)((element *)scratch.key_values + j * job->width16, k + j * shape->k_stride, shape->k_stride,
                                  mk_min(PANEL, count - j), shape->width, job->width16);
            MK_F(load_rows)(scratch.dk, job->width16, dk + key * k_row, k_row, count, shape->width);
            MK_F(load_rows)(scratch.dv, job->value16, dv + key * v_row, v_row, count, shape->value_width);
            // Queries that see some key of the block: at or after its first key, and within the window of its last.
            int64_t low = shape->causal ? (int64_t)key - offset : shape->window > 0 ? (int64_t)key - shape->window + 1 - offset : 0;
            int64_t high = shape->window > 0 ? (int64_t)(key + count) - 1 + shape->window - offset : (int64_t)queries;
            low = low < 0 ? 0 : low / BACK_QUERIES * BACK_QUERIES;
            if (high > (int64_t)queries) high = (int64_t)queries;
            for (int64_t query = low; query < high; query += BACK_QUERIES)
                MK_F(backward_block)(job, &scratch, count, key, (size_t)query, mk_min(BACK_QUERIES, queries - (size_t)query), offset,
                                     direct ? dq + (size_t)query * dq_row : scratch.dq + (size_t)query * job->width16,
                                     direct ? dq_row : job->width16);
            MK_F(store_rows)(scratch.dk, job->width16, dk + key * k_row, k_row, count, shape->width);
            MK_F(store_rows)(scratch.dv, job->value16, dv + key * v_row, v_row, count, shape->value_width);
        }
        if (!direct) MK_F(store_rows)(scratch.dq, job->width16, dq, dq_row, queries, shape->width);
    }
}
