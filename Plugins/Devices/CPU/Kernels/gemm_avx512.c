// Micro-kernels of 12 rows by 32 columns: 24 sums, two vectors of B and one broadcast of A fit the 32 registers, and 14 loads feed
// 24 multiply-adds. On Zen 4 one 512-bit multiply-add starts each cycle; vdpbf16ps does twice the work at the same rate.
#include "gemm_internal.h"

#if defined(__x86_64__)

enum { rows_high = 12, vector = 16 };

// C rows of one or two vectors: alpha sum + beta C + bias.
MK_INLINE MK_AVX512 void store(float *c, __mmask16 mask, __m512 sum, __m512 alpha, float beta, __m512 bias) {
    __m512 value = _mm512_fmadd_ps(sum, alpha, bias);
    if (beta != 0) value = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, c), _mm512_set1_ps(beta), value);
    _mm512_mask_storeu_ps(c, mask, value);
}

MK_INLINE MK_AVX512 __mmask16 lanes_mask(size_t lanes) {
    return lanes >= vector ? (__mmask16)0xffff : (__mmask16)((1u << lanes) - 1u);
}

MK_INLINE MK_AVX512 void store_all(const int rows, const int vectors, __m512 sum[rows_high][2], float *c, size_t ldc, size_t n,
                                   float alpha, float beta, const float *bias) {
    __m512 scale = _mm512_set1_ps(alpha);
    MK_UNROLL
    for (int v = 0; v < vectors; v++) {
        __mmask16 mask = lanes_mask(n - (size_t)v * vector);
        __m512 base = bias ? _mm512_maskz_loadu_ps(mask, bias + v * vector) : _mm512_setzero_ps();
        MK_UNROLL
        for (int i = 0; i < rows; i++) store(c + (size_t)i * ldc + v * vector, mask, sum[i][v], scale, beta, base);
    }
}

// Asked for while sums are made: A, most of which comes from L3, hundreds of cycles ahead, beyond the panel into the next; B, which
// L2 holds, four steps ahead; and at the start the lines of C, which are added to at the end.
MK_INLINE void ask_for_factors(const float *left, const float *right) {
    _mm_prefetch((const char *)(left + 16 * rows_high), _MM_HINT_T0);
    _mm_prefetch((const char *)(right + 8 * vector), _MM_HINT_T0);
    _mm_prefetch((const char *)(right + 9 * vector), _MM_HINT_T0);
}

MK_INLINE void ask_for_sums(const int rows, const int vectors, float *c, size_t ldc) {
    MK_UNROLL
    for (int i = 0; i < rows; i++) {
        __builtin_prefetch(c + (size_t)i * ldc, 1);
        if (vectors == 2) __builtin_prefetch(c + (size_t)i * ldc + vector, 1);
    }
}

#define ARGUMENTS \
    size_t steps, const void *a, const void *b, float *c, size_t ldc, size_t n, float alpha, float beta, const float *bias

MK_INLINE MK_AVX512 void f32_body(const int rows, const int vectors, ARGUMENTS) {
    const float *left = a, *right = b;
    __m512 sum[rows_high][2];
    ask_for_sums(rows, vectors, c, ldc);
    MK_UNROLL
    for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    for (size_t s = 0; s < steps; s++, left += rows_high, right += 2 * vector) {
        ask_for_factors(left, right);
        __m512 r0 = _mm512_loadu_ps(right), r1 = _mm512_setzero_ps();
        if (vectors == 2) r1 = _mm512_loadu_ps(right + vector);
        MK_UNROLL
        for (int i = 0; i < rows; i++) {
            __m512 l = _mm512_set1_ps(left[i]);
            sum[i][0] = _mm512_fmadd_ps(l, r0, sum[i][0]);
            if (vectors == 2) sum[i][1] = _mm512_fmadd_ps(l, r1, sum[i][1]);
        }
    }
    store_all(rows, vectors, sum, c, ldc, n, alpha, beta, bias);
}

MK_INLINE MK_AVX512_DOT void bf16_body(const int rows, const int vectors, ARGUMENTS) {
    const float *left = a, *right = b;  // two bf16 in each dword
    __m512 sum[rows_high][2];
    ask_for_sums(rows, vectors, c, ldc);
    MK_UNROLL
    for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    for (size_t s = 0; s < steps; s++, left += rows_high, right += 2 * vector) {
        ask_for_factors(left, right);
        __m512bh r0 = (__m512bh)_mm512_loadu_ps(right), r1 = r0;
        if (vectors == 2) r1 = (__m512bh)_mm512_loadu_ps(right + vector);
        MK_UNROLL
        for (int i = 0; i < rows; i++) {
            __m512bh l = (__m512bh)_mm512_set1_ps(left[i]);
            sum[i][0] = _mm512_dpbf16_ps(sum[i][0], l, r0);
            if (vectors == 2) sum[i][1] = _mm512_dpbf16_ps(sum[i][1], l, r1);
        }
    }
    store_all(rows, vectors, sum, c, ldc, n, alpha, beta, bias);
}

#define PASS steps, a, b, c, ldc, n, alpha, beta, bias
#define ONE(kind, attribute, m)                                              \
    attribute static void kind##_##m##_1(ARGUMENTS) { kind##_body(m, 1, PASS); } \
    attribute static void kind##_##m##_2(ARGUMENTS) { kind##_body(m, 2, PASS); }
#define ALL(kind, attribute)                                                                              \
    ONE(kind, attribute, 1) ONE(kind, attribute, 2) ONE(kind, attribute, 3) ONE(kind, attribute, 4)       \
    ONE(kind, attribute, 5) ONE(kind, attribute, 6) ONE(kind, attribute, 7) ONE(kind, attribute, 8)       \
    ONE(kind, attribute, 9) ONE(kind, attribute, 10) ONE(kind, attribute, 11) ONE(kind, attribute, 12)
ALL(f32, MK_AVX512)
ALL(bf16, MK_AVX512_DOT)

#define ENTRY(kind, m) {kind##_##m##_1, kind##_##m##_2}
#define TABLE(kind)                                                                                               \
    static void (*const kind##_table[rows_high][2])(ARGUMENTS) = {                                                \
        ENTRY(kind, 1), ENTRY(kind, 2), ENTRY(kind, 3), ENTRY(kind, 4),  ENTRY(kind, 5),  ENTRY(kind, 6),         \
        ENTRY(kind, 7), ENTRY(kind, 8), ENTRY(kind, 9), ENTRY(kind, 10), ENTRY(kind, 11), ENTRY(kind, 12)};
TABLE(f32)
TABLE(bf16)

static void f32_kernel(size_t steps, const void *a, const void *b, float *c, size_t ldc, size_t m, size_t n, float alpha,
                       float beta, const float *bias) {
    f32_table[m - 1][n > vector](PASS);
}

static void bf16_kernel(size_t steps, const void *a, const void *b, float *c, size_t ldc, size_t m, size_t n,
                        float alpha, float beta, const float *bias) {
    bf16_table[m - 1][n > vector](PASS);
}

// MARK: Packing

// Rows to ask for early where each gives only a few hundred bytes: the hardware follows no such stride.
#define ahead ((size_t)12)

// Transposes 16 rows of 16 dwords in registers: pairs of dwords, pairs of quadwords, then 128-bit quarters twice.
MK_INLINE MK_AVX512 void transpose(__m512i r[16]) {
    __m512i t[16];
    MK_UNROLL
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    MK_UNROLL
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    MK_UNROLL
    for (int i = 0; i < 4; i++) {
        __m512i a = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88), b = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        __m512i c = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88), d = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
        t[i] = _mm512_shuffle_i32x4(a, c, 0x88);
        t[i + 8] = _mm512_shuffle_i32x4(a, c, 0xdd);
        t[i + 4] = _mm512_shuffle_i32x4(b, d, 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
    MK_UNROLL
    for (int i = 0; i < 16; i++) r[i] = t[i];
}

// Stores `steps` <= 16 transposed vectors, `lanes` dwords each, at a distance of `width` dwords.
MK_INLINE MK_AVX512 void store_steps(uint32_t *to, const __m512i r[16], size_t steps, size_t width, size_t lanes) {
    __mmask16 mask = lanes_mask(lanes);
    if (steps == 16) {
        MK_UNROLL
        for (size_t s = 0; s < 16; s++) _mm512_mask_storeu_epi32(to + s * width, mask, r[s]);
    } else {
        for (size_t s = 0; s < steps; s++) _mm512_mask_storeu_epi32(to + s * width, mask, r[s]);
    }
}

MK_AVX512 static void f32_pack_k(const float *source, size_t ld, size_t lanes, size_t k, size_t width, void *packed) {
    for (size_t group = 0; group < width; group += vector) {
        size_t live = lanes > group ? mk_min(vector, lanes - group) : 0, wide = mk_min(vector, width - group);
        for (size_t s = 0; s < k; s += vector) {
            size_t steps = mk_min(vector, k - s);
            __mmask16 mask = lanes_mask(steps);
            __m512i r[16];
            MK_UNROLL
            for (size_t i = 0; i < 16; i++)
                r[i] = i < live ? _mm512_maskz_loadu_epi32(mask, source + (group + i) * ld + s) : _mm512_setzero_si512();
            transpose(r);
            store_steps((uint32_t *)packed + s * width + group, r, steps, width, wide);
        }
    }
}

MK_AVX512 static void f32_pack_lane(const float *source, size_t ld, size_t lanes, size_t k, size_t width, void *packed) {
    float *to = packed;
    for (size_t s = 0; s < k; s++, source += ld, to += width)
        for (size_t group = 0; group < width; group += vector) {
            _mm_prefetch((const char *)(source + ahead * ld + group), _MM_HINT_T0);
            __mmask16 live = lanes > group ? lanes_mask(lanes - group) : 0;
            _mm512_mask_storeu_ps(to + group, lanes_mask(width - group), _mm512_maskz_loadu_ps(live, source + group));
        }
}

// Up to 32 floats rounded to bf16, in order; depths beyond `live` are zero.
MK_INLINE MK_AVX512_DOT __m512i round_32(const float *source, size_t live) {
    __mmask16 low = lanes_mask(live), high = live > vector ? lanes_mask(live - vector) : 0;
    __m512 first = _mm512_maskz_loadu_ps(low, source), second = _mm512_maskz_loadu_ps(high, source + vector);
    return (__m512i)_mm512_cvtne2ps_pbh(second, first);
}

MK_INLINE MK_AVX512_DOT __mmask32 halves_mask(size_t count) {
    return count >= 32 ? 0xffffffffu : (__mmask32)((1u << count) - 1u);
}

MK_AVX512_DOT static void bf16_pack_k(const float *source, size_t ld, size_t lanes, size_t k, size_t width, void *packed) {
    for (size_t group = 0; group < width; group += vector) {
        size_t live = lanes > group ? mk_min(vector, lanes - group) : 0, wide = mk_min(vector, width - group);
        for (size_t s = 0; s < k; s += 32) {
            size_t left = mk_min(32, k - s);
            __m512i r[16];
            MK_UNROLL
            for (size_t i = 0; i < 16; i++)
                r[i] = i < live ? round_32(source + (group + i) * ld + s, left) : _mm512_setzero_si512();
            transpose(r);
            store_steps((uint32_t *)packed + s / 2 * width + group, r, (left + 1) / 2, width, wide);
        }
    }
}

MK_AVX512_DOT static void bf16_pack_k_bf16(const uint16_t *source, size_t ld, size_t lanes, size_t k, size_t width,
                                           void *packed) {
    for (size_t group = 0; group < width; group += vector) {
        size_t live = lanes > group ? mk_min(vector, lanes - group) : 0, wide = mk_min(vector, width - group);
        for (size_t s = 0; s < k; s += 32) {
            size_t left = mk_min(32, k - s);
            __mmask32 mask = halves_mask(left);
            __m512i r[16];
            MK_UNROLL
            for (size_t i = 0; i < 16; i++)
                r[i] = i < live ? _mm512_maskz_loadu_epi16(mask, source + (group + i) * ld + s) : _mm512_setzero_si512();
            transpose(r);
            store_steps((uint32_t *)packed + s / 2 * width + group, r, (left + 1) / 2, width, wide);
        }
    }
}

// Two rows of 16 dwords' worth of bf16 in the low halves, interleaved: lane i = (even[i], odd[i]).
MK_INLINE MK_AVX512_DOT __m512i interleave(__m256i even, __m256i odd) {
    return _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
}

MK_AVX512_DOT static void bf16_pack_lane(const float *source, size_t ld, size_t lanes, size_t k, size_t width,
                                         void *packed) {
    uint32_t *to = packed;
    for (size_t s = 0; s < k; s += 2, source += 2 * ld, to += width)
        for (size_t group = 0; group < width; group += vector) {
            __mmask16 live = lanes > group ? lanes_mask(lanes - group) : 0, second = s + 1 < k ? live : 0;
            _mm_prefetch((const char *)(source + ahead * ld + group), _MM_HINT_T0);
            _mm_prefetch((const char *)(source + (ahead + 1) * ld + group), _MM_HINT_T0);
            __m256i even = (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(live, source + group));
            __m256i odd = (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(second, source + ld + group));
            _mm512_mask_storeu_epi32(to + group, lanes_mask(width - group), interleave(even, odd));
        }
}

MK_AVX512_DOT static void bf16_pack_lane_bf16(const uint16_t *source, size_t ld, size_t lanes, size_t k, size_t width,
                                              void *packed) {
    uint32_t *to = packed;
    for (size_t s = 0; s < k; s += 2, source += 2 * ld, to += width)
        for (size_t group = 0; group < width; group += vector) {
            __mmask16 live = lanes > group ? lanes_mask(lanes - group) : 0, second = s + 1 < k ? live : 0;
            _mm_prefetch((const char *)(source + ahead * ld + group), _MM_HINT_T0);
            _mm_prefetch((const char *)(source + (ahead + 1) * ld + group), _MM_HINT_T0);
            __m256i even = _mm256_maskz_loadu_epi16(live, source + group);
            __m256i odd = _mm256_maskz_loadu_epi16(second, source + ld + group);
            _mm512_mask_storeu_epi32(to + group, lanes_mask(width - group), interleave(even, odd));
        }
}

const gemm_tile gemm_avx512_f32 = {
    .mr = rows_high, .nr = 2 * vector, .pair = 1, .depth = 512, .lane_bytes = 4,
    .kernel = f32_kernel, .pack_k = f32_pack_k, .pack_lane = f32_pack_lane,
};

const gemm_tile gemm_avx512_bf16 = {
    .mr = rows_high, .nr = 2 * vector, .pair = 2, .depth = 1024, .lane_bytes = 4,
    .kernel = bf16_kernel, .pack_k = bf16_pack_k, .pack_lane = bf16_pack_lane,
    .pack_k_bf16 = bf16_pack_k_bf16, .pack_lane_bf16 = bf16_pack_lane_bf16,
};

#endif
