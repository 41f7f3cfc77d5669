// The tasks of attention over flat tokens, for one instruction set.
#include "attention_products.h"
#include "attention_rows.h"

/// Packs eight panels of keys and values of one kv head.
static void MK_F(pack_panels)(void *arg, size_t index, size_t thread) {
    (void)thread;
    const attention_job *job = arg;
    const mk_attention_shape *shape = &job->shape;
    size_t head = index % shape->kv_heads, first = index / shape->kv_heads * ATTENTION_PANELS;
    for (size_t panel = first; panel < mk_min(first + ATTENTION_PANELS, job->panels); panel++) {
        size_t s = attention_find(job->panel_starts, shape->segments, panel);
        size_t key = (size_t)shape->k_segments[s] + (panel - (size_t)job->panel_starts[s]) * PANEL;
        size_t count = mk_min(PANEL, (size_t)shape->k_segments[s + 1] - key), at = head * job->panels + panel;
        MK_F(pack_keys)((element *)(job->packed_keys + at * job->key_panel_bytes), job->k + key * shape->k_stride + head * shape->width,
                        shape->k_stride, count, shape->width, job->form.padded_width);
        MK_F(pack_values)((element *)(job->packed_values + at * job->value_panel_bytes),
                          job->v + key * shape->v_stride + head * shape->value_width, shape->v_stride, count, shape->value_width,
                          job->form.padded_value_width);
    }
}

/// Attends one block of rows of one kv head. The last blocks see the most keys: they go first.
static void MK_F(attend_rows)(void *arg, size_t index, size_t thread) {
    const attention_job *job = arg;
    const mk_attention_shape *shape = &job->shape;
    const attention_form *form = &job->form;
    size_t head = index % shape->kv_heads, block = job->blocks - 1 - index / shape->kv_heads;
    size_t s = attention_find(job->block_starts, shape->segments, block);
    size_t first_query = (size_t)shape->q_segments[s], queries = (size_t)shape->q_segments[s + 1] - first_query;
    int64_t keys = shape->k_segments[s + 1] - shape->k_segments[s], offset = keys - (int64_t)queries;
    size_t first_row = (block - (size_t)job->block_starts[s]) * ATTENTION_ROWS;
    size_t rows = mk_min(ATTENTION_ROWS, queries * form->group - first_row);
    attention_scratch scratch = attention_take(form, job->thread_scratch + thread * job->thread_bytes);
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
    size_t panel_base = head * job->panels + (size_t)job->panel_starts[s];
    for (int64_t first = low / PANEL * PANEL; first < high; first += ATTENTION_KEYS) {
        const element *k_panel[ATTENTION_PANELS], *v_panel[ATTENTION_PANELS];
        size_t panels = mk_min(ATTENTION_PANELS, mk_ceil_div((size_t)(high - first), PANEL));
        for (size_t n = 0; n < panels; n++) {
            size_t at = panel_base + (size_t)first / PANEL + n;
            k_panel[n] = (const element *)(job->packed_keys + at * job->key_panel_bytes);
            v_panel[n] = (const element *)(job->packed_values + at * job->value_panel_bytes);
        }
        MK_F(attend_block)(form, &scratch, &running, rows, first_row, offset, keys, first, k_panel, v_panel, panels);
    }
    for (size_t r = 0; r < rows; r++) {
        size_t token = first_query + (first_row + r) / form->group, query_head = head * form->group + (first_row + r) % form->group;
        size_t at = token * shape->query_heads + query_head;
        float lse = MK_F(finish_row)(form, scratch.sums + r * form->padded_value_width, running.largest[r], running.total[r],
                                     job->sinks ? &job->sinks[query_head] : NULL, job->out + at * shape->value_width);
        if (job->lse) job->lse[at] = lse;
    }
}
