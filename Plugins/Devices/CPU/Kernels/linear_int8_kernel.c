// Rounding of activations, and the micro-kernel for many tokens: 6 tokens by 32 rows, 12 integer and 12 float sums in registers.
#include "linear_int8.h"

#if defined(__x86_64__)

// Codes and scale of 32 activations: a dword of four codes for each of 8 places, `width` apart.
MK_INLINE MK_AVX512_DOT void round_block(const float *x, size_t width, int32_t *codes, float *scale_to) {
    __m512 low = _mm512_loadu_ps(x), high = _mm512_loadu_ps(x + 16);
    float most = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(low), _mm512_abs_ps(high))), scale = most / 127;
    // Below this the inverse would overflow; what is lost is under 2^-120.
    float inverse = most > 0x1p-120f ? 127 / most : 0;
    if (most <= 0x1p-120f) scale = 0;
    // The sum of x - x tells infinities and NaN, which max may drop; they must not become numbers.
    __mmask16 bad = _mm512_cmp_ps_mask(_mm512_sub_ps(low, low), _mm512_sub_ps(high, high), _CMP_UNORD_Q);
    if (bad) scale = mk_float_from_bits(0x7fc00000u);
    *scale_to = scale;
    __m512 factor = _mm512_set1_ps(inverse);
    int32_t dwords[8];
    _mm_storeu_si128((__m128i *)(void *)dwords, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(low, factor))));
    _mm_storeu_si128((__m128i *)(void *)(dwords + 4), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(high, factor))));
    MK_UNROLL
    for (size_t i = 0; i < 8; i++) codes[i * width] = dwords[i];
}

// Sums of the codes of block b, of all tokens at once: each row of codes times ones.
MK_INLINE MK_AVX512_DOT void sum_block(const int8_tile *tile, size_t tokens, size_t b, int8_kind kind, int offset, int32_t *sums) {
    const int32_t *codes = tile->codes + 8 * b * tile->width;
    const size_t halves = int8_halves(kind), steps = 8 / halves;
    __mmask8 live = (__mmask8)((1u << tokens) - 1u);
    __m256 scale = _mm256_maskz_loadu_ps(live, tile->scales + b * tile->width);
    for (size_t half = 0; half < halves; half++, sums += tile->width) {
        __m256i sum = _mm256_setzero_si256();
        for (size_t i = 0; i < steps; i++, codes += tile->width)
            sum = _mm256_dpbusd_epi32(sum, _mm256_set1_epi8(1), _mm256_maskz_loadu_epi32(live, codes));
        __m256i out = int8_has_minimum(kind) ? _mm256_castps_si256(_mm256_mul_ps(scale, _mm256_cvtepi32_ps(sum)))
                                             : _mm256_mullo_epi32(sum, _mm256_set1_epi32(-offset));
        _mm256_mask_storeu_epi32(sums, live, out);
    }
}

MK_AVX512_DOT void int8_round(const float *x, size_t ldx, size_t tokens, size_t columns, int8_kind kind, int offset,
                              const int8_tile *tile) {
    size_t width = tile->width;
    int32_t *codes = (int32_t *)(uintptr_t)tile->codes, *sums = (int32_t *)(uintptr_t)tile->sums;
    float *scales = (float *)(uintptr_t)tile->scales;
    for (size_t b = 0; b < columns / 32; b++) {
        for (size_t t = 0; t < tokens; t++) round_block(x + t * ldx + 32 * b, width, codes + 8 * b * width + t, scales + b * width + t);
        sum_block(tile, tokens, b, kind, offset, sums + b * int8_halves(kind) * width);
    }
}

#define ARGUMENTS \
    size_t blocks, const int8_tile *x, const int8_panel *panel, float *c, size_t ldc, size_t n, bool add, const float *bias

// Asked for while sums are made: activations, which come from L2 or L3, three blocks ahead, and at the start the lines of c.
MK_INLINE void ask_for_codes(const int32_t *codes) {
    MK_UNROLL
    for (size_t line = 0; line < 3; line++) _mm_prefetch((const char *)(codes + 3 * 8 * INT8_TILE + 16 * line), _MM_HINT_T0);
}

MK_INLINE void ask_for_sums(const size_t m, const size_t vectors, float *c, size_t ldc) {
    MK_UNROLL
    for (size_t t = 0; t < m; t++) {
        __builtin_prefetch(c + t * ldc, 1);
        if (vectors == 2) __builtin_prefetch(c + t * ldc + 16, 1);
    }
}

MK_INLINE MK_AVX512_DOT void body(const int8_kind kind, const size_t m, const size_t vectors, ARGUMENTS) {
    const size_t width = INT8_TILE;
    const uint8_t *w = panel->codes;
    const float *scales = panel->scales, *minima = panel->minima, *x_scales = x->scales;
    const int32_t *codes = x->codes, *x_sums = x->sums;
    __m512 sum[INT8_TILE][2];
    ask_for_sums(m, vectors, c, ldc);
    MK_UNROLL
    for (size_t t = 0; t < m; t++) sum[t][0] = sum[t][1] = _mm512_setzero_ps();
    const size_t halves = int8_halves(kind), steps = 8 / halves;
    for (size_t b = 0; b < blocks; b++, x_scales += width) {
        ask_for_codes(codes);
        for (size_t half = 0; half < halves; half++) {
            __m512i part[INT8_TILE][2];
            MK_UNROLL
            for (size_t t = 0; t < m; t++)
                part[t][0] = part[t][1] = int8_has_minimum(kind) ? _mm512_setzero_si512() : _mm512_set1_epi32(x_sums[t]);
            for (size_t i = 0; i < steps; i++, w += 128, codes += width) {
                __m512i w0 = _mm512_load_si512(w), w1 = vectors == 2 ? _mm512_load_si512(w + 64) : w0;
                MK_UNROLL
                for (size_t t = 0; t < m; t++) {
                    __m512i q = _mm512_set1_epi32(codes[t]);
                    part[t][0] = _mm512_dpbusd_epi32(part[t][0], w0, q);
                    if (vectors == 2) part[t][1] = _mm512_dpbusd_epi32(part[t][1], w1, q);
                }
            }
            MK_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                __m512 scale = _mm512_load_ps(scales + 16 * v);
                MK_UNROLL
                for (size_t t = 0; t < m; t++) {
                    __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(part[t][v]), scale);
                    sum[t][v] = _mm512_fmadd_ps(scaled, _mm512_set1_ps(x_scales[t]), sum[t][v]);
                }
                if (int8_has_minimum(kind)) {
                    __m512 minimum = _mm512_load_ps(minima + 16 * v);
                    MK_UNROLL
                    for (size_t t = 0; t < m; t++)
                        sum[t][v] = _mm512_fmadd_ps(minimum, _mm512_set1_ps(((const float *)(const void *)x_sums)[t]), sum[t][v]);
                }
            }
            scales += 32;
            minima += 32;
            x_sums += width;
        }
    }
    MK_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        size_t left = n - 16 * v;
        __mmask16 mask = left >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << left) - 1u);
        __m512 base = bias ? _mm512_maskz_loadu_ps(mask, bias + 16 * v) : _mm512_setzero_ps();
        MK_UNROLL
        for (size_t t = 0; t < m; t++) {
            float *to = c + t * ldc + 16 * v;
            __m512 before = add ? _mm512_maskz_loadu_ps(mask, to) : base;
            _mm512_mask_storeu_ps(to, mask, _mm512_add_ps(before, sum[t][v]));
        }
    }
}

#define ONE(name, kind, m)                                                                                          \
    MK_AVX512_DOT static void name##_##m##_1(ARGUMENTS) { body(kind, m, 1, blocks, x, panel, c, ldc, n, add, bias); } \
    MK_AVX512_DOT static void name##_##m##_2(ARGUMENTS) { body(kind, m, 2, blocks, x, panel, c, ldc, n, add, bias); }
#define ALL(name, kind) \
    ONE(name, kind, 1) ONE(name, kind, 2) ONE(name, kind, 3) ONE(name, kind, 4) ONE(name, kind, 5) ONE(name, kind, 6)
ALL(offset, INT8_OFFSET)
ALL(halves, INT8_HALVES)
ALL(minimum, INT8_MINIMUM)
ALL(halves_minimum, INT8_HALVES_MINIMUM)

#define PAIR(name, m) {name##_##m##_1, name##_##m##_2}
#define ROW(name) {PAIR(name, 1), PAIR(name, 2), PAIR(name, 3), PAIR(name, 4), PAIR(name, 5), PAIR(name, 6)}

void int8_kernel(int8_kind kind, size_t blocks, const int8_tile *x, const int8_panel *panel, float *c, size_t ldc, size_t m, size_t n,
                 bool add, const float *bias) {
    static void (*const table[4][INT8_TILE][2])(ARGUMENTS) = {ROW(offset), ROW(halves), ROW(minimum),
                                                                     ROW(halves_minimum)};
    table[kind][m - 1][n > 16](blocks, x, panel, c, ldc, n, add, bias);
}

#endif
