// The two products of attention on packed panels, for one instruction set: scores = q K^T and sums += p V.
// A register tile is ROW_TILE rows by PANEL_TILE panels of 16 lanes.

#undef ROW_TILE
#undef PANEL_TILE
#if MK_LANES == 16
#define ROW_TILE 6
#define PANEL_TILE 4
#elif MK_LANES == 8 || defined(__aarch64__)
#define ROW_TILE 4
#define PANEL_TILE 1
#else
#define ROW_TILE 2
#define PANEL_TILE 1
#endif

// One step of a product takes one element of the inner axis in f32, a pair of them in bf16.
#undef STEP
#undef element
#ifdef MK_DOT
#define STEP 2
#define element uint16_t
MK_INLINE vf MK_F(multiply_add)(vf sum, vf a, vf b) { return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b); }
MK_INLINE vf MK_F(repeat)(const element *p) {
    uint32_t pair;
    memcpy(&pair, p, sizeof pair);
    return (vf)_mm512_set1_epi32((int)pair);
}
#else
#define STEP 1
#define element float
MK_INLINE vf MK_F(multiply_add)(vf sum, vf a, vf b) { return vfma(a, b, sum); }
MK_INLINE vf MK_F(repeat)(const element *p) { return vset(*p); }
#endif

/// scores[m][16 n ...] = q[m] . panels[n] over `steps` steps, for m < rows, n < panels (both known at compile time).
MK_INLINE void MK_F(score_tile)(const size_t rows, const size_t panels, const element *q, size_t q_stride, const element *const *panel,
                                size_t steps, float *scores, size_t score_stride) {
    vf sum[ROW_TILE][PANEL_TILE];
#pragma clang loop unroll(full)
    for (size_t m = 0; m < rows; m++)
#pragma clang loop unroll(full)
        for (size_t n = 0; n < panels; n++) sum[m][n] = vset(0);
    for (size_t d = 0; d < steps; d++) {
        vf keys[PANEL_TILE];
#pragma clang loop unroll(full)
        for (size_t n = 0; n < panels; n++) keys[n] = vload(panel[n] + d * STEP * PANEL);
#pragma clang loop unroll(full)
        for (size_t m = 0; m < rows; m++) {
            vf query = MK_F(repeat)(q + m * q_stride + d * STEP);
#pragma clang loop unroll(full)
            for (size_t n = 0; n < panels; n++) sum[m][n] = MK_F(multiply_add)(sum[m][n], query, keys[n]);
        }
    }
#pragma clang loop unroll(full)
    for (size_t m = 0; m < rows; m++)
#pragma clang loop unroll(full)
        for (size_t n = 0; n < panels; n++) vstore(scores + m * score_stride + n * PANEL, sum[m][n]);
}

/// sums[m][16 n ...] = factor[m] * sums + p[m] . values, over all keys of `panel_count` panels; `cols` columns of 16 lanes.
MK_INLINE void MK_F(value_tile)(const size_t rows, const size_t cols, const element *p, size_t p_stride, const element *const *panel,
                                size_t panel_count, size_t column, size_t value_stride, const float *factor, float *sums,
                                size_t sum_stride) {
    vf sum[ROW_TILE][PANEL_TILE];
#pragma clang loop unroll(full)
    for (size_t m = 0; m < rows; m++)
#pragma clang loop unroll(full)
        for (size_t n = 0; n < cols; n++) sum[m][n] = vload(sums + m * sum_stride + n * VF) * factor[m];
    for (size_t i = 0; i < panel_count; i++) {
        const element *values = panel[i] + column * STEP;
        for (size_t k = 0; k < PANEL; k += STEP) {
            vf value[PANEL_TILE];
#pragma clang loop unroll(full)
            for (size_t n = 0; n < cols; n++) value[n] = vload(values + k * value_stride + n * VF * STEP);
#pragma clang loop unroll(full)
            for (size_t m = 0; m < rows; m++) {
                vf weight = MK_F(repeat)(p + m * p_stride + i * PANEL + k);
#pragma clang loop unroll(full)
                for (size_t n = 0; n < cols; n++) sum[m][n] = MK_F(multiply_add)(sum[m][n], weight, value[n]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (size_t m = 0; m < rows; m++)
#pragma clang loop unroll(full)
        for (size_t n = 0; n < cols; n++) vstore(sums + m * sum_stride + n * VF, sum[m][n]);
}

// The last tile of rows takes the kernel of its own height: decoding has few rows.
#if ROW_TILE == 6
#define EACH_HEIGHT(call) \
    case 5: call(5); break; case 4: call(4); break; case 3: call(3); break; case 2: call(2); break; case 1: call(1); break;
#elif ROW_TILE == 4
#define EACH_HEIGHT(call) case 3: call(3); break; case 2: call(2); break; case 1: call(1); break;
#else
#define EACH_HEIGHT(call) case 1: call(1); break;
#endif

MK_LOCAL void MK_F(score_block)(size_t rows, const element *q, size_t q_stride, const element *const *panel, size_t panels, size_t width,
                              float *scores, size_t score_stride) {
    for (size_t m = 0; m < rows; m += ROW_TILE) {
        size_t height = mk_min(ROW_TILE, rows - m), n = 0;
#define WIDE(h) MK_F(score_tile)(h, PANEL_TILE, q + m * q_stride, q_stride, panel + n, width / STEP, scores + m * score_stride + n * PANEL, score_stride)
#define NARROW(h) MK_F(score_tile)(h, 1, q + m * q_stride, q_stride, panel + n, width / STEP, scores + m * score_stride + n * PANEL, score_stride)
        for (; n + PANEL_TILE <= panels; n += PANEL_TILE)
            switch (height) { case ROW_TILE: WIDE(ROW_TILE); break; EACH_HEIGHT(WIDE) }
        for (; n < panels; n++)
            switch (height) { case ROW_TILE: NARROW(ROW_TILE); break; EACH_HEIGHT(NARROW) }
#undef WIDE
#undef NARROW
    }
}

MK_LOCAL void MK_F(value_block)(size_t rows, const element *p, size_t p_stride, const element *const *panel, size_t panels,
                              size_t value_width, size_t value_stride, const float *factor, float *sums, size_t sum_stride) {
    for (size_t m = 0; m < rows; m += ROW_TILE) {
        size_t height = mk_min(ROW_TILE, rows - m), c = 0;
#define WIDE(h) MK_F(value_tile)(h, PANEL_TILE, p + m * p_stride, p_stride, panel, panels, c, value_stride, factor + m, sums + m * sum_stride + c, sum_stride)
#define NARROW(h) MK_F(value_tile)(h, 1, p + m * p_stride, p_stride, panel, panels, c, value_stride, factor + m, sums + m * sum_stride + c, sum_stride)
        for (; c + PANEL_TILE * VF <= value_width; c += PANEL_TILE * VF)
            switch (height) { case ROW_TILE: WIDE(ROW_TILE); break; EACH_HEIGHT(WIDE) }
        for (; c < value_width; c += VF)
            switch (height) { case ROW_TILE: NARROW(ROW_TILE); break; EACH_HEIGHT(NARROW) }
#undef WIDE
#undef NARROW
    }
}
#undef EACH_HEIGHT
