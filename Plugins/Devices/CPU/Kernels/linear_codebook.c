// One-row products over 4-bit codebooks (NF4, FP4): codes become values by a permutation of a register and never reach memory.
//
// 32 bytes hold 64 columns, the even ones in the high nibbles, so activations are put in the order that the nibbles come in: of each 64
// (bf16) or 32 (f32) columns first the even, then the odd ones.
#include "linear_internal.h"

#if defined(__x86_64__)

enum { chunk = 64 };

bool linear_codebook_fits(const mk_weight *weight) {
    bool whole = weight->group != 0 && (weight->group % chunk == 0 || weight->group >= weight->columns);
    return weight->layout == MK_LAYOUT_CODEBOOK4 && mk_current_level() >= MK_LEVEL_AVX512_DOT && whole && weight->columns % chunk == 0;
}

MK_AVX512_DOT void linear_codebook_order(const float *x, size_t columns, bool rounded, void *to) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    for (size_t c = 0; c < columns; c += chunk) {
        __m512 part[4];  // even and odd of 32, even and odd of the next 32
        MK_UNROLL
        for (size_t i = 0; i < 4; i += 2) {
            __m512 low = _mm512_loadu_ps(x + c + 16 * i), high = _mm512_loadu_ps(x + c + 16 * i + 16);
            part[i] = _mm512_permutex2var_ps(low, even, high);
            part[i + 1] = _mm512_permutex2var_ps(low, odd, high);
        }
        if (rounded) {
            uint16_t *out = (uint16_t *)to + c;
            _mm512_storeu_si512(out, (__m512i)_mm512_cvtne2ps_pbh(part[2], part[0]));
            _mm512_storeu_si512(out + 32, (__m512i)_mm512_cvtne2ps_pbh(part[3], part[1]));
        } else {
            MK_UNROLL
            for (size_t i = 0; i < 4; i++) _mm512_storeu_ps((float *)to + c + 16 * i, part[i]);
        }
    }
}

MK_INLINE float scale_at(const mk_weight *weight, size_t index) {
    if (weight->scale_type == MK_SCALE_F32) return ((const float *)weight->scales)[index];
    uint16_t bits = ((const uint16_t *)weight->scales)[index];
    return weight->scale_type == MK_SCALE_F16 ? mk_f16_to_f32(bits) : mk_bf16_to_f32(bits);
}

// Products of a chunk with one token, unscaled. A permutation looks at the low bits of its index only, so what stands above a nibble
// need not be cleared: the f32 table has 16 entries, the bf16 one its 16 twice.
MK_INLINE MK_AVX512_DOT void codes_bf16(const uint8_t *from, __m512i table, __m512bh value[2]) {
    __m512i words = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)from));
    value[0] = (__m512bh)_mm512_permutexvar_epi16(_mm512_srli_epi16(words, 4), table);
    value[1] = (__m512bh)_mm512_permutexvar_epi16(words, table);
}

MK_INLINE MK_AVX512_DOT void codes_f32(const uint8_t *from, __m512 table, __m512 value[4]) {
    MK_UNROLL
    for (size_t i = 0; i < 4; i += 2) {
        __m512i dwords = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(from + 8 * i)));
        value[i] = _mm512_permutexvar_ps(_mm512_srli_epi32(dwords, 4), table);
        value[i + 1] = _mm512_permutexvar_ps(dwords, table);
    }
}

MK_INLINE MK_AVX512_DOT void row_bf16(const size_t tokens, const mk_weight *weight, size_t row, const uint16_t *x, size_t ldx, float *sums) {
    const uint8_t *from = (const uint8_t *)weight->data + row * weight->row_bytes;
    __m256i half = (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(weight->codebook));
    __m512i table = _mm512_broadcast_i64x4(half);
    size_t scale = row * mk_ceil_div(weight->columns, weight->group);
    __m512 sum[LINEAR_TOKENS];
    MK_UNROLL
    for (size_t t = 0; t < tokens; t++) sum[t] = _mm512_setzero_ps();
    for (size_t first = 0; first < weight->columns; first += weight->group, scale++) {
        __m512 part[LINEAR_TOKENS][2];
        MK_UNROLL
        for (size_t t = 0; t < tokens; t++) part[t][0] = part[t][1] = _mm512_setzero_ps();
        for (size_t c = first; c < mk_min(first + weight->group, weight->columns); c += chunk) {
            __m512bh value[2];
            codes_bf16(from + c / 2, table, value);
            MK_UNROLL
            for (size_t t = 0; t < tokens; t++) {
                part[t][0] = _mm512_dpbf16_ps(part[t][0], value[0], (__m512bh)_mm512_loadu_si512(x + t * ldx + c));
                part[t][1] = _mm512_dpbf16_ps(part[t][1], value[1], (__m512bh)_mm512_loadu_si512(x + t * ldx + c + 32));
            }
        }
        __m512 factor = _mm512_set1_ps(scale_at(weight, scale));
        MK_UNROLL
        for (size_t t = 0; t < tokens; t++) sum[t] = _mm512_fmadd_ps(_mm512_add_ps(part[t][0], part[t][1]), factor, sum[t]);
    }
    MK_UNROLL
    for (size_t t = 0; t < tokens; t++) sums[t * LINEAR_ROWS] = _mm512_reduce_add_ps(sum[t]);
}

MK_INLINE MK_AVX512_DOT void row_f32(const size_t tokens, const mk_weight *weight, size_t row, const float *x, size_t ldx, float *sums) {
    const uint8_t *from = (const uint8_t *)weight->data + row * weight->row_bytes;
    __m512 table = _mm512_loadu_ps(weight->codebook);
    size_t scale = row * mk_ceil_div(weight->columns, weight->group);
    __m512 sum[LINEAR_TOKENS];
    MK_UNROLL
    for (size_t t = 0; t < tokens; t++) sum[t] = _mm512_setzero_ps();
    for (size_t first = 0; first < weight->columns; first += weight->group, scale++) {
        __m512 part[LINEAR_TOKENS];
        MK_UNROLL
        for (size_t t = 0; t < tokens; t++) part[t] = _mm512_setzero_ps();
        for (size_t c = first; c < mk_min(first + weight->group, weight->columns); c += chunk) {
            __m512 value[4];
            codes_f32(from + c / 2, table, value);
            MK_UNROLL
            for (size_t t = 0; t < tokens; t++) {
                MK_UNROLL
                for (size_t i = 0; i < 4; i++) part[t] = _mm512_fmadd_ps(value[i], _mm512_loadu_ps(x + t * ldx + c + 16 * i), part[t]);
            }
        }
        __m512 factor = _mm512_set1_ps(scale_at(weight, scale));
        MK_UNROLL
        for (size_t t = 0; t < tokens; t++) sum[t] = _mm512_fmadd_ps(part[t], factor, sum[t]);
    }
    MK_UNROLL
    for (size_t t = 0; t < tokens; t++) sums[t * LINEAR_ROWS] = _mm512_reduce_add_ps(sum[t]);
}

#define BY_TOKENS(name, type)                                                                                                 \
    MK_AVX512_DOT void linear_codebook_##name(const mk_weight *weight, size_t row, const void *x, size_t ldx, size_t tokens,  \
                                              float *sums) {                                                                  \
        const type *v = x;                                                                                                    \
        switch (tokens) {                                                                                                     \
        case 1: row_##name(1, weight, row, v, ldx, sums); break;                                                              \
        case 2: row_##name(2, weight, row, v, ldx, sums); break;                                                              \
        case 3: row_##name(3, weight, row, v, ldx, sums); break;                                                              \
        default: row_##name(4, weight, row, v, ldx, sums);                                                                    \
        }                                                                                                                     \
    }
BY_TOKENS(bf16, uint16_t)
BY_TOKENS(f32, float)

#else

bool linear_codebook_fits(const mk_weight *weight) {
    (void)weight;
    return false;
}

#endif
