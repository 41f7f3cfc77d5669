// One block of rows against a range of keys with a running softmax (Dao et al. 2022, arXiv:2205.14135, algorithm 1), for one
// instruction set. Scores are held in units of log2 where exp2 is the cheaper function (bf16), else in natural units.

#undef LOG_UNIT
#ifdef MK_DOT
#define LOG_UNIT 1.44269504f
#else
#define LOG_UNIT 1.0f
#endif

/// Stores 16 packed elements.
MK_INLINE void MK_F(store_elements)(element *to, vf x) {
#ifdef MK_DOT
    *(vh_any *)to = (vh)_mm512_cvtneps_pbh((__m512)x);
#else
    vstore(to, x);
#endif
}

/// Copies one row of `width` floats to packed elements, zeros up to `padded`.
MK_INLINE void MK_F(pack_row)(element *to, const float *from, size_t width, size_t padded) {
    size_t d = 0;
    for (; d + VF <= width; d += VF) MK_F(store_elements)(to + d, vload(from + d));
    for (; d < width; d++) {
#ifdef MK_DOT
        to[d] = mk_f32_to_bf16(from[d]);
#else
        to[d] = from[d];
#endif
    }
    for (; d < padded; d++) to[d] = 0;
}

/// `n` <= 16 * STEP floats as 16 lanes of packed elements (f32 itself, or pairs of bf16), zeros behind them.
MK_INLINE vf MK_F(lanes_of)(const float *from, size_t n) {
#ifdef MK_DOT
    vf low = vload_part(from, mk_min(n, VF), 0), high = n > VF ? vload_part(from + VF, n - VF, 0) : vset(0);
    return (vf)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
#else
    return vload_part(from, n, 0);
#endif
}

/// Packs `count` <= 16 keys that are `stride` apart into a panel of K; absent keys are zeros.
MK_LOCAL void MK_F(pack_keys)(element *panel, const float *keys, size_t stride, size_t count, size_t width, size_t padded) {
    for (size_t d = 0; d < padded; d += PANEL * STEP) {
        size_t n = d < width ? mk_min(PANEL * STEP, width - d) : 0;
        vf row[PANEL];
#pragma clang loop unroll(full)
        for (size_t j = 0; j < PANEL; j++) row[j] = j < count ? MK_F(lanes_of)(keys + j * stride + d, n) : vset(0);
        vtranspose(row);
        size_t lines = mk_min(PANEL, (padded - d) / STEP);
        element *to = panel + d * PANEL;
        if (lines == PANEL) {
#pragma clang loop unroll(full)
            for (size_t j = 0; j < PANEL; j++) vstore(to + j * PANEL * STEP, row[j]);
        } else {
            for (size_t j = 0; j < lines; j++) vstore(to + j * PANEL * STEP, row[j]);
        }
    }
}

/// Packs `count` <= 16 values into a panel of V; absent ones are zeros.
MK_LOCAL void MK_F(pack_values)(element *panel, const float *values, size_t stride, size_t count, size_t width, size_t padded) {
    for (size_t j = 0; j < PANEL; j += STEP)
        for (size_t c = 0; c < padded; c += VF) {
            size_t n = c < width ? mk_min(VF, width - c) : 0;
            vf first = j < count ? vload_part(values + j * stride + c, n, 0) : vset(0);
#ifdef MK_DOT
            vf second = j + 1 < count ? vload_part(values + (j + 1) * stride + c, n, 0) : vset(0);
            vu pairs = (vround_bf16(first) >> 16) | (vround_bf16(second) & 0xffff0000u);
            vstore(panel + (j * padded + c * STEP), (vf)pairs);
#else
            vstore(panel + j * padded + c, first);
#endif
        }
}

/// State of the running softmax of a block of rows.
typedef struct {
    float largest[ATTENTION_ROWS], total[ATTENTION_ROWS], factor[ATTENTION_ROWS];
} MK_F(running);

/// Turns one row of raw scores into probabilities relative to the running maximum; keys outside low..<high are unseen.
MK_INLINE void MK_F(softmax_row)(const attention_form *form, float *scores, size_t panels, int64_t low, int64_t high, element *p,
                                 float *largest, float *total, float *factor) {
    const vf lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vf unit = vset(form->scale * LOG_UNIT), top = vset(-__builtin_inff());
    bool partial = low > 0 || high < (int64_t)(panels * PANEL);
    vf from = vset((float)low), to = vset((float)high);
    for (size_t n = 0; n < panels; n++) {
        vf s = vload(scores + n * PANEL);
        if (form->softcap > 0) s = vtanh(s * (form->scale / form->softcap)) * (form->softcap * LOG_UNIT);
        else s *= unit;
        if (partial) {
            vf key = lane + (float)(n * PANEL);
            s = vselect((key >= from) & (key < to), s, vset(-__builtin_inff()));
        }
        vstore(scores + n * PANEL, s);
        top = vmax(s, top);
    }
    float before = *largest, now = vmaximum(top);
    now = now > before ? now : before;
    float base = now == -INFINITY ? 0 : now;
    vf sum = vset(0), centre = vset(base);
    for (size_t n = 0; n < panels; n++) {
        vf s = vload(scores + n * PANEL) - centre;
#ifdef MK_DOT
        vf e = vexp2_coarse(s);
#else
        vf e = vexp(s);
#endif
        sum += e;
        MK_F(store_elements)(p + n * PANEL, e);
    }
#ifdef MK_DOT
    *factor = exp2f(before - base);
#else
    *factor = expf(before - base);
#endif
    *total = *total * *factor + vsum(sum);
    *largest = now;
}

/// The keys that row-token `position` (in key coordinates) may see, within 0..<keys.
MK_INLINE void MK_F(visible)(const attention_form *form, int64_t position, int64_t keys, int64_t *low, int64_t *high) {
    *low = form->window > 0 ? position - form->window + 1 : 0;
    *high = form->causal ? position + 1 : form->window > 0 ? position + form->window : keys;
    if (*low < 0) *low = 0;
    if (*high > keys) *high = keys;
}

/// Adds the keys first..<first + 16 panels to a block of rows. Row r belongs to token (first_row + r) / group, at
/// `offset` + token in key coordinates; `keys` is the length of the whole key segment.
MK_LOCAL void MK_F(attend_block)(const attention_form *form, const attention_scratch *scratch, MK_F(running) *running, size_t rows,
                               size_t first_row, int64_t offset, int64_t keys, int64_t first, const element *const *k_panel,
                               const element *const *v_panel, size_t panels) {
    MK_F(score_block)(rows, scratch->queries, form->padded_width, k_panel, panels, form->padded_width, scratch->scores, ATTENTION_KEYS);
#ifdef MK_DOT
    element *probabilities = scratch->probabilities;
#else
    element *probabilities = scratch->scores;
#endif
    for (size_t r = 0; r < rows; r++) {
        int64_t low, high;
        MK_F(visible)(form, offset + (int64_t)((first_row + r) / form->group), keys, &low, &high);
        MK_F(softmax_row)(form, scratch->scores + r * ATTENTION_KEYS, panels, low - first, high - first, probabilities + r * ATTENTION_KEYS,
                          &running->largest[r], &running->total[r], &running->factor[r]);
    }
    MK_F(value_block)(rows, probabilities, ATTENTION_KEYS, v_panel, panels, form->padded_value_width, form->padded_value_width,
                      running->factor, scratch->sums, form->padded_value_width);
}

MK_LOCAL void MK_F(begin_rows)(const attention_form *form, const attention_scratch *scratch, MK_F(running) *running, size_t rows) {
    for (size_t r = 0; r < rows; r++) {
        running->largest[r] = -INFINITY;
        running->total[r] = 0;
    }
    memset(scratch->sums, 0, rows * form->padded_value_width * sizeof(float));
}

/// Divides a row's sums by its total, with the sink's share in it; gives the row's lse.
MK_LOCAL float MK_F(finish_row)(const attention_form *form, const float *sums, float largest, float total, const float *sink, float *out) {
    float factor = 1, natural = largest * (1 / LOG_UNIT);
    if (sink) {
        float top = *sink > natural ? *sink : natural;
        factor = natural == -INFINITY ? 0 : expf(natural - top);
        total = total * factor + expf(*sink - top);
        natural = top;
    }
    float inverse = total > 0 ? factor / total : 0;
    for (size_t c = 0; c < form->value_width; c += VF) {
        size_t n = mk_min(VF, form->value_width - c);
        vf y = vload(sums + c) * inverse;
        if (n == VF) vstore(out + c, y);
        else vstore_part(out + c, n, y);
    }
    return total > 0 ? natural + logf(total) : -INFINITY;
}
