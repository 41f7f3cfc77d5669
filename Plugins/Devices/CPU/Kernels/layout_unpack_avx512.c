// The layouts without blocks of their own, 16 columns at a time.
#include "gemm_internal.h"
#include "layout_internal.h"

#if defined(__x86_64__)

MK_INLINE MK_AVX512 __mmask16 mask_16(size_t count) {
    return count >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << count) - 1u);
}

MK_AVX512 static void f16_row(const uint16_t *from, size_t count, float *to) {
    for (size_t c = 0; c < count; c += 16) {
        __mmask16 mask = mask_16(count - c);
        _mm512_mask_storeu_ps(to + c, mask, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, from + c)));
    }
}

MK_AVX512 static void bf16_row(const uint16_t *from, size_t count, float *to) {
    for (size_t c = 0; c < count; c += 16) {
        __mmask16 mask = mask_16(count - c);
        __m512i wide = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from + c)), 16);
        _mm512_mask_storeu_epi32(to + c, mask, wide);
    }
}

// E4M3's bits moved to a float's places read as the value times 2^-120, subnormals too, since both have an implicit one above
// exponent 0 only.
MK_AVX512 static void fp8_columns(const uint8_t *from, size_t count, float scale, float *to) {
    __m512 factor = _mm512_set1_ps(0x1p120f), scales = _mm512_set1_ps(scale);
    for (size_t c = 0; c < count; c += 16) {
        __mmask16 mask = mask_16(count - c);
        __m512i bits = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, from + c));
        __m512i size = _mm512_and_si512(bits, _mm512_set1_epi32(0x7f)), sign = _mm512_slli_epi32(_mm512_srli_epi32(bits, 7), 31);
        __m512 value = _mm512_mul_ps(_mm512_castsi512_ps(_mm512_slli_epi32(size, 20)), factor);
        value = _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(value), sign));
        __mmask16 nan = _mm512_cmpeq_epi32_mask(size, _mm512_set1_epi32(0x7f));
        value = _mm512_mask_mov_ps(_mm512_mul_ps(value, scales), nan, _mm512_castsi512_ps(_mm512_set1_epi32(0x7fc00000)));
        _mm512_mask_storeu_ps(to + c, mask, value);
    }
}

// 16 columns of `bits` bits lie in 2 bits whole bytes. Each dword of the result gets the two bytes that hold its column, and a shift.
typedef struct spread {
    __m512i bytes, shifts, mask;
} spread;

// Entry c of the byte pattern is a dword: the byte where column c begins, the next if the column reaches into it, and two zeros
// (0x80 gives zero).
#define BEGIN(bits, c) ((uint32_t)((c) * (bits) / 8))
#define NEXT(bits, c) ((c) * (bits) % 8 + (bits) > 8 ? BEGIN(bits, c) + 1 : 0x80u)
#define WINDOW(bits, c) (BEGIN(bits, c) | NEXT(bits, c) << 8 | 0x80800000u)
#define SIXTEEN(f, bits)                                                                                                    \
    {f(bits, 0), f(bits, 1), f(bits, 2),  f(bits, 3),  f(bits, 4),  f(bits, 5),  f(bits, 6),  f(bits, 7),                   \
     f(bits, 8), f(bits, 9), f(bits, 10), f(bits, 11), f(bits, 12), f(bits, 13), f(bits, 14), f(bits, 15)}
#define SHIFT(bits, c) ((c) * (bits) % 8)
static const uint32_t windows[9][16] = {{0}, {0}, SIXTEEN(WINDOW, 2), SIXTEEN(WINDOW, 3), SIXTEEN(WINDOW, 4), SIXTEEN(WINDOW, 5),
                                        SIXTEEN(WINDOW, 6), {0}, SIXTEEN(WINDOW, 8)};
static const uint32_t shifts[9][16] = {{0}, {0}, SIXTEEN(SHIFT, 2), SIXTEEN(SHIFT, 3), SIXTEEN(SHIFT, 4), SIXTEEN(SHIFT, 5),
                                       SIXTEEN(SHIFT, 6), {0}, SIXTEEN(SHIFT, 8)};

MK_INLINE MK_AVX512 spread spread_for(size_t bits, bool high_first) {
    __m512i shift = _mm512_loadu_si512(shifts[bits]);
    if (high_first) shift = _mm512_sub_epi32(_mm512_set1_epi32(4), shift);
    return (spread){_mm512_loadu_si512(windows[bits]), shift, _mm512_set1_epi32((1 << bits) - 1)};
}

MK_INLINE MK_AVX512 __m512i codes_16(const uint8_t *from, size_t bits, size_t live, const spread *spread) {
    __mmask16 present = mask_16((live * bits + 7) / 8);
    __m512i bytes = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_maskz_loadu_epi8(present, from)), spread->bytes);
    return _mm512_and_si512(_mm512_srlv_epi32(bytes, spread->shifts), spread->mask);
}

MK_AVX512 static void affine_columns(const uint8_t *from, size_t bits, size_t count, float scale, float zero, float *to) {
    spread spread = spread_for(bits, false);
    __m512 scales = _mm512_set1_ps(scale), zeros = _mm512_set1_ps(zero);
    for (size_t c = 0; c < count; c += 16, from += 2 * bits) {
        __m512 q = _mm512_cvtepi32_ps(codes_16(from, bits, mk_min(16, count - c), &spread));
        _mm512_mask_storeu_ps(to + c, mask_16(count - c), _mm512_mul_ps(_mm512_sub_ps(q, zeros), scales));
    }
}

MK_AVX512 static void codebook_columns(const uint8_t *from, const float *codebook, size_t count, float scale, float *to) {
    spread spread = spread_for(4, true);
    __m512 scales = _mm512_set1_ps(scale), table = _mm512_loadu_ps(codebook);
    for (size_t c = 0; c < count; c += 16, from += 8) {
        __m512 value = _mm512_permutexvar_ps(codes_16(from, 4, mk_min(16, count - c), &spread), table);
        _mm512_mask_storeu_ps(to + c, mask_16(count - c), _mm512_mul_ps(value, scales));
    }
}

const layout_columns layout_columns_avx512 = {f16_row, bf16_row, fp8_columns, affine_columns, codebook_columns};

#endif
