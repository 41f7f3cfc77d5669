// Dot products of a row with a few tokens. The row's vector is loaded once; two sums a token hide the
// multiply-add's latency behind the weight's arrival.
#include "linear_internal.h"

#if defined(__x86_64__)

// MARK: AVX-512

MK_INLINE MK_AVX512 __mmask16 mask_16(size_t count) {
    return count >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << count) - 1u);
}

MK_INLINE MK_AVX512 __m512 f32_16(const void *row, size_t c, __mmask16 mask) {
    return _mm512_maskz_loadu_ps(mask, (const float *)row + c);
}
MK_INLINE MK_AVX512 __m512 f16_16(const void *row, size_t c, __mmask16 mask) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, (const uint16_t *)row + c));
}
MK_INLINE MK_AVX512 __m512 bf16_16(const void *row, size_t c, __mmask16 mask) {
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, (const uint16_t *)row + c));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

// Each token sums in two registers whatever the number of tokens, so that a token's result does not depend on its company: columns
// 0-15 of each 32 go to the first, 16-31 to the second.
#define DOT_512(kind)                                                                                             \
    MK_INLINE MK_AVX512 void kind##_tokens(const int tokens, const void *row, const float *x, size_t ld,          \
                                           size_t columns, float *sums) {                                         \
        __m512 sum[LINEAR_FEW_TOKENS][2];                                                                         \
        MK_UNROLL                                                                                                 \
        for (int t = 0; t < tokens; t++) sum[t][0] = sum[t][1] = _mm512_setzero_ps();                             \
        size_t c = 0;                                                                                             \
        for (; c + 32 <= columns; c += 32) {                                                                      \
            __m512 w0 = kind##_16(row, c, 0xffff), w1 = kind##_16(row, c + 16, 0xffff);                           \
            MK_UNROLL                                                                                             \
            for (int t = 0; t < tokens; t++) {                                                                    \
                sum[t][0] = _mm512_fmadd_ps(w0, _mm512_loadu_ps(x + (size_t)t * ld + c), sum[t][0]);              \
                sum[t][1] = _mm512_fmadd_ps(w1, _mm512_loadu_ps(x + (size_t)t * ld + c + 16), sum[t][1]);         \
            }                                                                                                     \
        }                                                                                                         \
        for (; c < columns; c += 16) {                                                                            \
            __mmask16 mask = mask_16(columns - c);                                                                \
            __m512 w = kind##_16(row, c, mask);                                                                   \
            MK_UNROLL                                                                                             \
            for (int t = 0; t < tokens; t++)                                                                      \
                sum[t][0] = _mm512_fmadd_ps(w, _mm512_maskz_loadu_ps(mask, x + (size_t)t * ld + c), sum[t][0]);   \
        }                                                                                                         \
        MK_UNROLL                                                                                                 \
        for (int t = 0; t < tokens; t++) sums[t] = _mm512_reduce_add_ps(_mm512_add_ps(sum[t][0], sum[t][1]));     \
    }

#define BY_TOKENS(attribute, kind, type)                                                                               \
    attribute static void kind##_dot(const void *row, const void *x, size_t ld, size_t tokens, size_t columns,         \
                                     float *sums) {                                                                    \
        const type *v = x;                                                                                             \
        switch (tokens) {                                                                                              \
        case 1: kind##_tokens(1, row, v, ld, columns, sums); break;                                                    \
        case 2: kind##_tokens(2, row, v, ld, columns, sums); break;                                                    \
        case 3: kind##_tokens(3, row, v, ld, columns, sums); break;                                                    \
        case 4: kind##_tokens(4, row, v, ld, columns, sums); break;                                                    \
        case 5: kind##_tokens(5, row, v, ld, columns, sums); break;                                                    \
        case 6: kind##_tokens(6, row, v, ld, columns, sums); break;                                                    \
        case 7: kind##_tokens(7, row, v, ld, columns, sums); break;                                                    \
        default: kind##_tokens(8, row, v, ld, columns, sums);                                                          \
        }                                                                                                              \
    }

DOT_512(f32)
DOT_512(f16)
DOT_512(bf16)
BY_TOKENS(MK_AVX512, f32, float)
BY_TOKENS(MK_AVX512, f16, float)
BY_TOKENS(MK_AVX512, bf16, float)

// MARK: AVX-512 BF16: two products in each dword

MK_INLINE MK_AVX512_DOT __m512bh pairs(const uint16_t *from, size_t live) {
    __mmask32 mask = live >= 32 ? 0xffffffffu : (__mmask32)((1u << live) - 1u);
    return (__m512bh)_mm512_maskz_loadu_epi16(mask, from);
}

MK_INLINE MK_AVX512_DOT void rounded_tokens(const int tokens, const void *row, const uint16_t *x, size_t ld, size_t columns,
                                            float *sums) {
    const uint16_t *w = row;
    __m512 sum[LINEAR_FEW_TOKENS][2];
    MK_UNROLL
    for (int t = 0; t < tokens; t++) sum[t][0] = sum[t][1] = _mm512_setzero_ps();
    size_t c = 0;
    for (; c + 64 <= columns; c += 64) {
        __m512bh w0 = (__m512bh)_mm512_loadu_si512(w + c), w1 = (__m512bh)_mm512_loadu_si512(w + c + 32);
        MK_UNROLL
        for (int t = 0; t < tokens; t++) {
            const uint16_t *v = x + (size_t)t * ld + c;
            sum[t][0] = _mm512_dpbf16_ps(sum[t][0], w0, (__m512bh)_mm512_loadu_si512(v));
            sum[t][1] = _mm512_dpbf16_ps(sum[t][1], w1, (__m512bh)_mm512_loadu_si512(v + 32));
        }
    }
    for (; c < columns; c += 32) {
        __m512bh last = pairs(w + c, columns - c);
        MK_UNROLL
        for (int t = 0; t < tokens; t++)
            sum[t][0] = _mm512_dpbf16_ps(sum[t][0], last, pairs(x + (size_t)t * ld + c, columns - c));
    }
    MK_UNROLL
    for (int t = 0; t < tokens; t++) sums[t] = _mm512_reduce_add_ps(_mm512_add_ps(sum[t][0], sum[t][1]));
}
BY_TOKENS(MK_AVX512_DOT, rounded, uint16_t)

MK_AVX512_DOT static void round_row(const float *from, size_t count, uint16_t *to) {
    for (size_t c = 0; c < count; c += 16) {
        __mmask16 mask = mask_16(count - c);
        _mm256_mask_storeu_epi16(to + c, mask, (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, from + c)));
    }
}

const linear_dots linear_dots_avx512 = {.f32 = f32_dot, .f16 = f16_dot, .bf16 = bf16_dot};
const linear_dots linear_dots_avx512_dot = {
    .f32 = f32_dot, .f16 = f16_dot, .bf16 = bf16_dot, .bf16_bf16 = rounded_dot, .round_bf16 = round_row};

// MARK: AVX2

MK_INLINE MK_AVX2 __m256 f32_8(const void *row, size_t c) { return _mm256_loadu_ps((const float *)row + c); }
MK_INLINE MK_AVX2 __m256 f16_8(const void *row, size_t c) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)row + c)));
}
MK_INLINE MK_AVX2 __m256 bf16_8(const void *row, size_t c) {
    __m128i half = _mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)row + c));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}
MK_INLINE float f32_one(const void *row, size_t c) { return ((const float *)row)[c]; }
MK_INLINE float f16_one(const void *row, size_t c) { return mk_f16_to_f32(((const uint16_t *)row)[c]); }
MK_INLINE float bf16_one(const void *row, size_t c) { return mk_bf16_to_f32(((const uint16_t *)row)[c]); }

#define DOT_256(kind)                                                                                                \
    MK_AVX2 static void kind##_dot_256(const void *row, const void *x, size_t ld, size_t tokens, size_t columns,     \
                                       float *sums) {                                                                \
        for (size_t t = 0; t < tokens; t++) {                                                                        \
            const float *v = (const float *)x + t * ld;                                                              \
            __m256 sum[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};    \
            size_t c = 0;                                                                                            \
            for (; c + 32 <= columns; c += 32) {                                                                     \
                MK_UNROLL                                                                                            \
                for (size_t i = 0; i < 4; i++)                                                                       \
                    sum[i] = _mm256_fmadd_ps(kind##_8(row, c + 8 * i), _mm256_loadu_ps(v + c + 8 * i), sum[i]);      \
            }                                                                                                        \
            float parts[8], total = 0;                                                                               \
            _mm256_storeu_ps(parts, _mm256_add_ps(_mm256_add_ps(sum[0], sum[1]), _mm256_add_ps(sum[2], sum[3])));    \
            for (int i = 0; i < 8; i++) total += parts[i];                                                           \
            for (; c < columns; c++) total += kind##_one(row, c) * v[c];                                             \
            sums[t] = total;                                                                                         \
        }                                                                                                            \
    }
DOT_256(f32)
DOT_256(f16)
DOT_256(bf16)

const linear_dots linear_dots_avx2 = {.f32 = f32_dot_256, .f16 = f16_dot_256, .bf16 = bf16_dot_256};

#endif
