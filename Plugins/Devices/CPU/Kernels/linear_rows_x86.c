// Dot products of a few rows with a few tokens. One token reads a row at a time, the longest stream there is, if it
// fits L1 beside; more tokens meet four rows together, so that each loaded vector serves four multiply-adds.
#include "linear_internal.h"

#if defined(__x86_64__)

#define ARGUMENTS \
    const void *rows, size_t row_bytes, size_t row_count, const void *x, size_t ld, size_t tokens, size_t columns, float *sums

MK_INLINE const void *row_at(const void *rows, size_t row_bytes, size_t row) { return (const uint8_t *)rows + row * row_bytes; }

// MARK: AVX-512

MK_INLINE MK_AVX512 __mmask16 mask_16(size_t count) {
    return count >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << count) - 1u);
}

// A vector of a row, and how the kernel multiplies it: 16 floats with 16 floats.
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
#define FLOATS(kind)                                                                                                   \
    MK_INLINE MK_AVX512 __m512 kind##_step(const void *row, const void *x, size_t c, size_t live, __m512 sum) {        \
        __mmask16 mask = mask_16(live);                                                                                \
        return _mm512_fmadd_ps(kind##_16(row, c, mask), _mm512_maskz_loadu_ps(mask, (const float *)x + c), sum);       \
    }
FLOATS(f32)
FLOATS(f16)
FLOATS(bf16)

// 32 bf16 with 32 bf16.
MK_INLINE MK_AVX512_DOT __m512bh pairs(const void *from, size_t c, size_t live) {
    __mmask32 mask = live >= 32 ? 0xffffffffu : (__mmask32)((1u << live) - 1u);
    return (__m512bh)_mm512_maskz_loadu_epi16(mask, (const uint16_t *)from + c);
}
MK_INLINE MK_AVX512_DOT __m512 rounded_step(const void *row, const void *x, size_t c, size_t live, __m512 sum) {
    return _mm512_dpbf16_ps(sum, pairs(row, c, live), pairs(x, c, live));
}

#define TILE(kind, attribute, type, size, width, t_count)                                                                   \
    attribute static void kind##_tile_##t_count(const void *rows, size_t row_bytes, const type *x, size_t ld,          \
                                                size_t columns, float *sums) {                                         \
        __m512 sum[LINEAR_ROWS][t_count];                                                                              \
        MK_UNROLL                                                                                                      \
        for (int r = 0; r < 4; r++) {                                                                                  \
            MK_UNROLL                                                                                                  \
            for (int t = 0; t < t_count; t++) sum[r][t] = _mm512_setzero_ps();                                         \
        }                                                                                                              \
        size_t c = 0;                                                                                                  \
        for (; c + width <= columns; c += width) {                                                                     \
            MK_UNROLL                                                                                                  \
            for (size_t r = 0; r < 4; r++) {                                                                           \
                /* Four streams at a time are more than the hardware's prefetcher follows: ask for the next four rows. */ \
                if (t_count > 1)                                                                                       \
                    _mm_prefetch((const char *)row_at(rows, row_bytes, r + LINEAR_ROWS) + c * size, _MM_HINT_T1);      \
                MK_UNROLL                                                                                              \
                for (size_t t = 0; t < t_count; t++)                                                                   \
                    sum[r][t] = kind##_step(row_at(rows, row_bytes, r), x + t * ld, c, width, sum[r][t]);              \
            }                                                                                                          \
        }                                                                                                              \
        if (c < columns) {                                                                                             \
            MK_UNROLL                                                                                                  \
            for (size_t r = 0; r < 4; r++) {                                                                           \
                MK_UNROLL                                                                                              \
                for (size_t t = 0; t < t_count; t++)                                                                   \
                    sum[r][t] = kind##_step(row_at(rows, row_bytes, r), x + t * ld, c, columns - c, sum[r][t]);        \
            }                                                                                                          \
        }                                                                                                              \
        MK_UNROLL                                                                                                      \
        for (int r = 0; r < 4; r++) {                                                                                  \
            MK_UNROLL                                                                                                  \
            for (int t = 0; t < t_count; t++) sums[(size_t)t * LINEAR_ROWS + (size_t)r] = _mm512_reduce_add_ps(sum[r][t]); \
        }                                                                                                              \
    }

// Beyond `crowded` columns a row streaming by pushes the activations out of L1: then one token reads four rows together as well. It
// pays for f32 rows; for 16-bit ones the single stream is worth more.
#define DOT_512(kind, attribute, type, size, width, crowded)                                                                          \
    TILE(kind, attribute, type, size, width, 1)                                                                              \
    TILE(kind, attribute, type, size, width, 2)                                                                              \
    TILE(kind, attribute, type, size, width, 3)                                                                              \
    TILE(kind, attribute, type, size, width, 4)                                                                              \
    attribute static float kind##_row(const void *row, const type *x, size_t columns) {                                \
        __m512 sum[4];                                                                                                 \
        MK_UNROLL                                                                                                      \
        for (int i = 0; i < 4; i++) sum[i] = _mm512_setzero_ps();                                                      \
        size_t c = 0;                                                                                                  \
        for (; c + 4 * width <= columns; c += 4 * width) {                                                             \
            MK_UNROLL                                                                                                  \
            for (size_t i = 0; i < 4; i++) sum[i] = kind##_step(row, x, c + i * width, width, sum[i]);                 \
        }                                                                                                              \
        for (; c < columns; c += width) sum[0] = kind##_step(row, x, c, columns - c, sum[0]);                          \
        return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3])));      \
    }                                                                                                                  \
    attribute static void kind##_dot(ARGUMENTS) {                                                                      \
        const type *v = x;                                                                                             \
        if (row_count == LINEAR_ROWS && tokens == 4)                                                                   \
            kind##_tile_4(rows, row_bytes, v, ld, columns, sums);                                                      \
        else if (row_count == LINEAR_ROWS && tokens == 3)                                                              \
            kind##_tile_3(rows, row_bytes, v, ld, columns, sums);                                                      \
        else if (row_count == LINEAR_ROWS && tokens == 2)                                                              \
            kind##_tile_2(rows, row_bytes, v, ld, columns, sums);                                                      \
        else if (row_count == LINEAR_ROWS && tokens == 1 && columns > crowded)                                          \
            kind##_tile_1(rows, row_bytes, v, ld, columns, sums);                                                      \
        else                                                                                                           \
            for (size_t r = 0; r < row_count; r++)                                                                     \
                for (size_t t = 0; t < tokens; t++)                                                                    \
                    sums[t * LINEAR_ROWS + r] = kind##_row(row_at(rows, row_bytes, r), v + t * ld, columns);           \
    }
DOT_512(f32, MK_AVX512, float, 4, 16, 3072)
DOT_512(f16, MK_AVX512, float, 2, 16, SIZE_MAX)
DOT_512(bf16, MK_AVX512, float, 2, 16, SIZE_MAX)
DOT_512(rounded, MK_AVX512_DOT, uint16_t, 2, 32, SIZE_MAX)

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

// A row meets all tokens while its vectors are in registers.
#define DOT_256(kind)                                                                                                  \
    MK_INLINE MK_AVX2 void kind##_tokens_256(const int t_count, const void *row, const float *x, size_t ld,            \
                                             size_t columns, float *sums) {                                            \
        __m256 sum[LINEAR_TOKENS][2];                                                                                  \
        MK_UNROLL                                                                                                      \
        for (int t = 0; t < t_count; t++) sum[t][0] = sum[t][1] = _mm256_setzero_ps();                                 \
        size_t c = 0;                                                                                                  \
        for (; c + 16 <= columns; c += 16) {                                                                           \
            __m256 w0 = kind##_8(row, c), w1 = kind##_8(row, c + 8);                                                   \
            MK_UNROLL                                                                                                  \
            for (int t = 0; t < t_count; t++) {                                                                        \
                sum[t][0] = _mm256_fmadd_ps(w0, _mm256_loadu_ps(x + (size_t)t * ld + c), sum[t][0]);                   \
                sum[t][1] = _mm256_fmadd_ps(w1, _mm256_loadu_ps(x + (size_t)t * ld + c + 8), sum[t][1]);               \
            }                                                                                                          \
        }                                                                                                              \
        for (int t = 0; t < t_count; t++) {                                                                            \
            float parts[8], total = 0;                                                                                 \
            _mm256_storeu_ps(parts, _mm256_add_ps(sum[t][0], sum[t][1]));                                              \
            for (int i = 0; i < 8; i++) total += parts[i];                                                             \
            for (size_t tail = c; tail < columns; tail++) total += kind##_one(row, tail) * x[(size_t)t * ld + tail];   \
            sums[(size_t)t * LINEAR_ROWS] = total;                                                                     \
        }                                                                                                              \
    }                                                                                                                  \
    MK_AVX2 static void kind##_dot_256(ARGUMENTS) {                                                                    \
        const float *v = x;                                                                                            \
        for (size_t r = 0; r < row_count; r++) {                                                                       \
            const void *row = row_at(rows, row_bytes, r);                                                              \
            switch (tokens) {                                                                                          \
            case 1: kind##_tokens_256(1, row, v, ld, columns, sums + r); break;                                        \
            case 2: kind##_tokens_256(2, row, v, ld, columns, sums + r); break;                                        \
            case 3: kind##_tokens_256(3, row, v, ld, columns, sums + r); break;                                        \
            default: kind##_tokens_256(4, row, v, ld, columns, sums + r);                                              \
            }                                                                                                          \
        }                                                                                                              \
    }
DOT_256(f32)
DOT_256(f16)
DOT_256(bf16)

const linear_dots linear_dots_avx2 = {.f32 = f32_dot_256, .f16 = f16_dot_256, .bf16 = bf16_dot_256};

#endif
