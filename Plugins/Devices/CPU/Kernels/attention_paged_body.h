// The tasks of attention over a paged cache, for one instruction set.
#include "attention_products.h"
#include "attention_rows.h"

MK_INLINE void MK_F(put_cache)(void *cache, mk_dtype type, size_t at, float value) {
    if (type == MK_DTYPE_F32) ((float *)cache)[at] = value;
    else ((uint16_t *)cache)[at] = type == MK_DTYPE_BF16 ? mk_f32_to_bf16(value) : mk_f32_to_f16(value);
}

/// Writes one token's keys and values of all heads to their slot.
static void MK_F(write_token)(void *arg, size_t token, size_t thread) {
    (void)thread;
    const paged_job *job = arg;
    const mk_paged_shape *shape = &job->shape;
    if (shape->slots[token] < 0) return;
    size_t slot = (size_t)shape->slots[token], block = slot / shape->block_size, offset = slot % shape->block_size;
    size_t lane = offset % PANEL, pair = job->paired ? 2 : 1;
    for (size_t head = 0; head < shape->kv_heads; head++) {
        size_t first = (block * shape->kv_heads + head) * shape->block_size + offset - lane;
        const float *k = job->k + token * shape->k_stride + head * shape->width;
        const float *v = job->v + token * shape->v_stride + head * shape->value_width;
        for (size_t d = 0; d < shape->width; d++)
            MK_F(put_cache)(job->k_cache, shape->cache_type, first * shape->width + d / pair * pair * PANEL + lane * pair + d % pair, k[d]);
        size_t row = (first + lane / pair * pair) * shape->value_width + lane % pair;
        for (size_t c = 0; c < shape->value_width; c++) MK_F(put_cache)(job->v_cache, shape->cache_type, row + c * pair, v[c]);
    }
}

/// 16 lanes (or the first n) of a row of a cached panel with `lanes` lanes.
MK_INLINE vf MK_F(cached)(const uint8_t *panel, mk_dtype type, bool paired, size_t row, size_t lanes, size_t lane, size_t n) {
    if (type == MK_DTYPE_F32) return vload_part((const float *)panel + row * lanes + lane, n, 0);
    if (type == MK_DTYPE_BF16 && paired) {
        vu pairs = (vu)vload_part((const float *)((const uint16_t *)panel + row / 2 * lanes * 2 + lane * 2), n, 0);
        return vfloat(row % 2 ? pairs & 0xffff0000u : pairs << 16);
    }
    const uint16_t *from = (const uint16_t *)panel + row * lanes + lane;
    uint16_t part[VF] = {0};
    if (n < VF) {
        memcpy(part, from, n * sizeof(uint16_t));
        from = part;
    }
    return type == MK_DTYPE_BF16 ? vload_bf16(from) : vload_f16(from);
}

/// Converts a cached panel of `rows` rows, of which `present` hold data, to the form of the products with `padded` lanes; rows to `padded_rows`.
MK_LOCAL void MK_F(convert_panel)(const paged_job *job, const uint8_t *panel, size_t present, size_t lanes, size_t padded_rows, size_t padded,
                                  element *to) {
    mk_dtype type = job->shape.cache_type;
    for (size_t row = 0; row < padded_rows; row += STEP)
        for (size_t lane = 0; lane < padded; lane += VF) {
            size_t n = lane < lanes ? mk_min(VF, lanes - lane) : 0;
            vf first = row < present ? MK_F(cached)(panel, type, job->paired, row, lanes, lane, n) : vset(0);
#ifdef MK_DOT
            vf second = row + 1 < present ? MK_F(cached)(panel, type, job->paired, row + 1, lanes, lane, n) : vset(0);
            vu pairs = (vround_bf16(first) >> 16) | (vround_bf16(second) & 0xffff0000u);
            vstore(to + row * padded + lane * STEP, (vf)pairs);
#else
            vstore(to + row * padded + lane, first);
#endif
        }
}

/// Attends a block of rows to its piece of the context.
static void MK_F(attend_paged)(void *arg, size_t index, size_t thread) {
    const paged_job *job = arg;
    const mk_paged_shape *shape = &job->shape;
    const attention_form *form = &job->form;
    size_t head = index % shape->kv_heads, task = job->tasks - 1 - index / shape->kv_heads;
    size_t s = attention_find(job->task_starts, shape->segments, task);
    size_t first_query = (size_t)shape->q_segments[s], queries = (size_t)shape->q_segments[s + 1] - first_query;
    int64_t keys = shape->context[s], offset = keys - (int64_t)queries;
    size_t splits = splits_of(shape, queries * form->group, (size_t)keys), local = task - (size_t)job->task_starts[s];
    size_t first_row = local / splits * ATTENTION_ROWS, split = local % splits;
    size_t rows = mk_min(ATTENTION_ROWS, queries * form->group - first_row);
    uint8_t *cursor = job->thread_scratch + thread * job->thread_bytes;
    attention_scratch scratch = attention_take(form, cursor);
    cursor += mk_align_up(attention_thread_bytes(form));
    element *k_converted = mk_take(&cursor, ATTENTION_PANELS * PANEL * form->padded_width * sizeof(float));
    element *v_converted = mk_take(&cursor, ATTENTION_PANELS * PANEL * form->padded_value_width * sizeof(float));
    MK_F(running) running;
    MK_F(begin_rows)(form, &scratch, &running, rows);
    for (size_t r = 0; r < rows; r++) {
        size_t token = first_query + (first_row + r) / form->group, query_head = head * form->group + (first_row + r) % form->group;
        MK_F(pack_row)((element *)scratch.queries + r * form->padded_width, job->q + token * shape->q_stride + query_head * shape->width,
                       form->width, form->padded_width);
    }
    int64_t low, high, ignored;
    MK_F(visible)(form, offset + (int64_t)(first_row / form->group), keys, &low, &ignored);
    MK_F(visible)(form, offset + (int64_t)((first_row + rows - 1) / form->group), keys, &ignored, &high);
    if (splits > 1) {
        int64_t span = (int64_t)(split_panels((size_t)keys, splits) * PANEL);
        if (low < (int64_t)split * span) low = (int64_t)split * span;
        if (high > ((int64_t)split + 1) * span) high = ((int64_t)split + 1) * span;
    }
    for (int64_t first = low / PANEL * PANEL; first < high; first += ATTENTION_KEYS) {
        const element *k_panel[ATTENTION_PANELS], *v_panel[ATTENTION_PANELS];
        size_t panels = mk_min(ATTENTION_PANELS, mk_ceil_div((size_t)(high - first), PANEL));
        for (size_t n = 0; n < panels; n++) {
            size_t key = (size_t)first + n * PANEL, present = mk_min(PANEL, (size_t)keys - key);
            const uint8_t *k = job->k_cache + panel_offset(job, s, key, head, shape->width);
            const uint8_t *v = job->v_cache + panel_offset(job, s, key, head, shape->value_width);
            k_panel[n] = (const element *)k;
            v_panel[n] = (const element *)v;
            if (!job->k_direct) {
                element *to = k_converted + n * PANEL * form->padded_width;
                MK_F(convert_panel)(job, k, shape->width, PANEL, form->padded_width, PANEL, to);
                k_panel[n] = to;
            }
            // What lies behind the last position may be anything, and 0 times infinity is not 0.
            if (!job->v_direct || present < PANEL) {
                element *to = v_converted + n * PANEL * form->padded_value_width;
                MK_F(convert_panel)(job, v, present, shape->value_width, PANEL, form->padded_value_width, to);
                v_panel[n] = to;
            }
        }
        MK_F(attend_block)(form, &scratch, &running, rows, first_row, offset, keys, first, k_panel, v_panel, panels);
    }
    if (splits > 1) {
        size_t width = form->padded_value_width;
        float *part = job->parts + (task * shape->kv_heads + head) * part_floats(job);
        memcpy(part, scratch.sums, rows * width * sizeof(float));
        memcpy(part + ATTENTION_ROWS * width, running.largest, rows * sizeof(float));
        memcpy(part + ATTENTION_ROWS * (width + 1), running.total, rows * sizeof(float));
        return;
    }
    for (size_t r = 0; r < rows; r++) {
        size_t token = first_query + (first_row + r) / form->group, query_head = head * form->group + (first_row + r) % form->group;
        MK_F(finish_row)(form, scratch.sums + r * form->padded_value_width, running.largest[r], running.total[r],
                         job->sinks ? &job->sinks[query_head] : NULL, job->out + (token * shape->query_heads + query_head) * shape->value_width);
    }
}

/// Joins the pieces of a split segment, in order, for one kv head.
static void MK_F(join_parts)(void *arg, size_t index, size_t thread) {
    (void)thread;
    const paged_job *job = arg;
    const mk_paged_shape *shape = &job->shape;
    const attention_form *form = &job->form;
    size_t head = index % shape->kv_heads, s = index / shape->kv_heads, width = form->padded_value_width;
    size_t first_query = (size_t)shape->q_segments[s], rows = ((size_t)shape->q_segments[s + 1] - first_query) * form->group;
    size_t splits = splits_of(shape, rows, (size_t)shape->context[s]);
    if (splits == 1 || !rows) return;
    for (size_t r = 0; r < rows; r++) {
        float *into = NULL, largest = -INFINITY, total = 0;
        for (size_t split = 0; split < splits; split++) {
            float *part = job->parts + (((size_t)job->task_starts[s] + split) * shape->kv_heads + head) * part_floats(job);
            float *sums = part + r * width, top = part[ATTENTION_ROWS * width + r], sum = part[ATTENTION_ROWS * (width + 1) + r];
            if (top == -INFINITY) continue;
            if (!into) {
                into = sums, largest = top, total = sum;
                continue;
            }
            float now = top > largest ? top : largest;
#ifdef MK_DOT
            float old = exp2f(largest - now), new = exp2f(top - now);
#else
            float old = expf(largest - now), new = expf(top - now);
#endif
            for (size_t c = 0; c < width; c += VF) vstore(into + c, vload(into + c) * old + vload(sums + c) * new);
            total = total * old + sum * new;
            largest = now;
        }
        const float *sums = into ? into : job->parts;
        size_t token = first_query + r / form->group, query_head = head * form->group + r % form->group;
        MK_F(finish_row)(form, sums, largest, total, job->sinks ? &job->sinks[query_head] : NULL,
                         job->out + (token * shape->query_heads + query_head) * shape->value_width);
    }
}
