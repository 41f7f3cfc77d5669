// The formats' loaders, and the products for few tokens built on them. Compiled code was read: no sum leaves its register.
#include "linear_int8.h"

#if defined(__x86_64__)

// A block of 32 columns of 16 rows: dword l of w[i] holds the unsigned codes of columns 4 i … 4 i + 3 of row l.
typedef struct block {
    __m512i w[8];
    __m512 scale[2], minimum[2];  // the second for columns 16 … 31 where they have their own
} block;

MK_INLINE MK_AVX512_DOT __m512 halves(const uint8_t *from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)from));
}

MK_INLINE MK_AVX512_DOT __m512 signed_bytes(const uint8_t *from) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from)));
}

MK_INLINE MK_AVX512_DOT __m512 unsigned_bytes(const uint8_t *from) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from)));
}

MK_INLINE MK_AVX512_DOT __m512i nibble_mask(void) { return _mm512_set1_epi8(15); }

// Four vectors of nibbles: low ones are columns 0-15, high ones 16-31.
MK_INLINE MK_AVX512_DOT void split_nibbles(const uint8_t *from, __m512i w[8]) {
    MK_UNROLL
    for (int i = 0; i < 4; i++) {
        __m512i packed = _mm512_loadu_si512(from + 64 * i);
        w[i] = _mm512_and_si512(packed, nibble_mask());
        w[i + 4] = _mm512_and_si512(_mm512_srli_epi16(packed, 4), nibble_mask());
    }
}

// a | (b & mask), one instruction.
MK_INLINE MK_AVX512_DOT __m512i or_masked(__m512i a, __m512i b, __m512i mask) {
    return _mm512_ternarylogic_epi32(a, b, mask, 0xf8);
}

// Bit i of byte b of `fifth` becomes bit 4 of byte b of w[i].
MK_INLINE MK_AVX512_DOT void add_fifth_bits(const uint8_t *from, __m512i w[8]) {
    __m512i fifth = _mm512_loadu_si512(from), mask = _mm512_set1_epi8(16);
    MK_UNROLL
    for (int i = 0; i < 8; i++) {
        __m512i moved = i < 4 ? _mm512_slli_epi32(fifth, (unsigned)(4 - i) & 7) : _mm512_srli_epi32(fifth, (unsigned)(i - 4) & 7);
        w[i] = or_masked(w[i], moved, mask);
    }
}

MK_INLINE MK_AVX512_DOT void look_up_codes(__m512i w[8], __m128i table) {
    __m512i wide = _mm512_broadcast_i32x4(table);
    MK_UNROLL
    for (int i = 0; i < 8; i++) w[i] = _mm512_shuffle_epi8(wide, w[i]);
}

// Units of two blocks share a line of scales; an odd row's last unit has one.
MK_INLINE MK_AVX512_DOT const uint8_t *unit_vectors(const uint8_t *unit, size_t b, size_t blocks, size_t bytes) {
    size_t scales = (b & 1) == 0 && b + 1 == blocks ? 32 : 64;
    return unit + scales + (b & 1) * bytes;
}

#define LOADER(name) MK_INLINE MK_AVX512_DOT void load_##name(const uint8_t *group, size_t b, int8_shape shape, block *to)

LOADER(q4_0) {
    const uint8_t *unit = group + b / 2 * 576;
    to->scale[0] = halves(unit + (b & 1) * 32);
    split_nibbles(unit_vectors(unit, b, shape.blocks, 256), to->w);
}

// The tables hold value + 128.
LOADER(iq4_nl) {
    load_q4_0(group, b, shape, to);
    look_up_codes(to->w, _mm_setr_epi8(1, 24, 45, 63, 79, 93, 106, 118, -127, -115, -103, -90, -75, -59, -39, -15));
}

LOADER(q8_0) {
    const uint8_t *unit = group + b / 2 * 1088, *from = unit_vectors(unit, b, shape.blocks, 512);
    to->scale[0] = halves(unit + (b & 1) * 32);
    MK_UNROLL
    for (int i = 0; i < 8; i++) to->w[i] = _mm512_loadu_si512(from + 64 * i);
}

LOADER(q5_0) {
    const uint8_t *unit = group + b / 2 * 704, *from = unit_vectors(unit, b, shape.blocks, 320);
    to->scale[0] = halves(unit + (b & 1) * 32);
    split_nibbles(from + 64, to->w);
    add_fifth_bits(from, to->w);
}

LOADER(q4_1) {
    (void)shape;
    const uint8_t *from = group + b * 320;
    to->scale[0] = halves(from);
    to->minimum[0] = halves(from + 32);
    split_nibbles(from + 64, to->w);
}

LOADER(q5_1) {
    (void)shape;
    const uint8_t *from = group + b * 384;
    to->scale[0] = halves(from);
    to->minimum[0] = halves(from + 32);
    split_nibbles(from + 128, to->w);
    add_fifth_bits(from + 64, to->w);
}

LOADER(mxfp4) {
    (void)shape;
    const uint8_t *from = group + b * 272;
    // 2^(e - 128), the table holding twice the value; exponents 0 and 1 give subnormals.
    __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from));
    __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
    __mmask16 tiny = _mm512_cmplt_epi32_mask(e, _mm512_set1_epi32(2));
    to->scale[0] = _mm512_castsi512_ps(_mm512_mask_sllv_epi32(normal, tiny, _mm512_set1_epi32(0x00200000), e));
    split_nibbles(from + 16, to->w);
    look_up_codes(to->w, _mm_setr_epi8(-128, -127, -126, -125, -124, -122, -120, -116, -128, 127, 126, 125, 124, 122, 120, 116));
}

// Block j of a super-block lies in the low (even j) or high nibbles of 8 vectors.
MK_INLINE MK_AVX512_DOT void load_nibbles_k(const uint8_t *vectors, size_t j, __m512i w[8]) {
    __m128i shift = _mm_cvtsi32_si128((int)(j & 1) * 4);
    MK_UNROLL
    for (int i = 0; i < 8; i++)
        w[i] = _mm512_and_si512(_mm512_srl_epi16(_mm512_loadu_si512(vectors + j / 2 * 512 + 64 * i), shift), nibble_mask());
}

MK_INLINE MK_AVX512_DOT void load_scales_k(const uint8_t *super, size_t j, block *to) {
    to->scale[0] = _mm512_mul_ps(halves(super), unsigned_bytes(super + 64 + j * 32));
    to->minimum[0] = _mm512_fnmadd_ps(halves(super + 32), unsigned_bytes(super + 64 + j * 32 + 16), _mm512_setzero_ps());
}

LOADER(q4_k) {
    (void)shape;
    const uint8_t *super = group + b / 8 * 2368;
    load_scales_k(super, b % 8, to);
    load_nibbles_k(super + 320, b % 8, to->w);
}

LOADER(q5_k) {
    (void)shape;
    const uint8_t *super = group + b / 8 * 2880;
    load_scales_k(super, b % 8, to);
    load_nibbles_k(super + 320 + 512, b % 8, to->w);
    __m512i mask = _mm512_set1_epi8(16);
    __m128i right = _mm_cvtsi32_si128((int)(b % 8));
    MK_UNROLL
    for (int i = 0; i < 8; i++) {
        __m512i fifth = _mm512_srl_epi32(_mm512_loadu_si512(super + 320 + 64 * i), right);
        fifth = _mm512_and_si512(fifth, _mm512_set1_epi8(1));
        to->w[i] = or_masked(to->w[i], _mm512_slli_epi32(fifth, 4), mask);
    }
}

// Part p of a half of 128: low nibbles from vectors 8 (p % 2) on, high for p >= 2; two more bits at 2 p.
LOADER(q6_k) {
    (void)shape;
    const uint8_t *super = group + b / 8 * 3392, *low, *high;
    size_t half = b % 8 / 4, part = b % 4;
    __m512 d = _mm512_loadu_ps(super);
    to->scale[0] = _mm512_mul_ps(d, signed_bytes(super + 64 + b % 8 * 32));
    to->scale[1] = _mm512_mul_ps(d, signed_bytes(super + 64 + b % 8 * 32 + 16));
    low = super + 320 + half * 1024 + part % 2 * 512;
    high = super + 320 + 2048 + half * 512;
    __m128i low_shift = _mm_cvtsi32_si128((int)(part / 2 * 4)), high_shift = _mm_cvtsi32_si128((int)(2 * part));
    __m512i three = _mm512_set1_epi8(3);
    MK_UNROLL
    for (int i = 0; i < 8; i++) {
        __m512i nibbles = _mm512_and_si512(_mm512_srl_epi16(_mm512_loadu_si512(low + 64 * i), low_shift), nibble_mask());
        __m512i bits = _mm512_and_si512(_mm512_srl_epi16(_mm512_loadu_si512(high + 64 * i), high_shift), three);
        to->w[i] = _mm512_or_si512(nibbles, _mm512_slli_epi16(bits, 4));
    }
}

// As Q6_K, but two bits and one: part p of a half at 2 p, the high bit of block b at b.
LOADER(q3_k) {
    (void)shape;
    const uint8_t *super = group + b / 8 * 1856;
    __m512 d = _mm512_loadu_ps(super);
    to->scale[0] = _mm512_mul_ps(d, signed_bytes(super + 64 + b % 8 * 32));
    to->scale[1] = _mm512_mul_ps(d, signed_bytes(super + 64 + b % 8 * 32 + 16));
    const uint8_t *low = super + 320 + b % 8 / 4 * 512, *high = super + 320 + 1024;
    __m128i low_shift = _mm_cvtsi32_si128((int)(b % 4 * 2)), high_shift = _mm_cvtsi32_si128((int)(b % 8));
    __m512i three = _mm512_set1_epi8(3), one = _mm512_set1_epi8(1);
    MK_UNROLL
    for (int i = 0; i < 8; i++) {
        __m512i bits = _mm512_and_si512(_mm512_srl_epi16(_mm512_loadu_si512(low + 64 * i), low_shift), three);
        __m512i top = _mm512_and_si512(_mm512_srl_epi16(_mm512_loadu_si512(high + 64 * i), high_shift), one);
        to->w[i] = _mm512_or_si512(bits, _mm512_slli_epi16(top, 2));
    }
}

LOADER(q2_k) {
    (void)shape;
    const uint8_t *super = group + b / 8 * 1344, *low = super + 320 + b % 8 / 4 * 512;
    __m512 d = halves(super), m = halves(super + 32);
    MK_UNROLL
    for (size_t half = 0; half < 2; half++) {
        __m512i packed = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(super + 64 + (b % 8 * 2 + half) * 16)));
        to->scale[half] = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_and_si512(packed, _mm512_set1_epi32(15))));
        to->minimum[half] = _mm512_fnmadd_ps(m, _mm512_cvtepi32_ps(_mm512_srli_epi32(packed, 4)), _mm512_setzero_ps());
    }
    __m128i shift = _mm_cvtsi32_si128((int)(b % 4 * 2));
    MK_UNROLL
    for (int i = 0; i < 8; i++)
        to->w[i] = _mm512_and_si512(_mm512_srl_epi16(_mm512_loadu_si512(low + 64 * i), shift), _mm512_set1_epi8(3));
}

LOADER(iq4_xs) {
    (void)shape;
    const uint8_t *super = group + b / 8 * 2240, *from = super + 192 + b % 8 * 256;
    to->scale[0] = _mm512_mul_ps(_mm512_loadu_ps(super), signed_bytes(super + 64 + b % 8 * 16));
    split_nibbles(from, to->w);
    look_up_codes(to->w, _mm_setr_epi8(1, 24, 45, 63, 79, 93, 106, 118, -127, -115, -103, -90, -75, -59, -39, -15));
}

// Scale and zero of a group of columns, then its blocks.
MK_INLINE MK_AVX512_DOT const uint8_t *load_affine(const uint8_t *group, size_t b, int8_shape shape, size_t bytes, block *to) {
    size_t index = b >> shape.scale_shift;
    const uint8_t *scales = group + index * 128 + (b - (b & (((size_t)1 << shape.scale_shift) - 1))) * bytes;
    to->scale[0] = _mm512_loadu_ps(scales);
    to->minimum[0] = _mm512_fnmadd_ps(_mm512_loadu_ps(scales + 64), to->scale[0], _mm512_setzero_ps());
    return group + (index + 1) * 128 + b * bytes;
}

LOADER(affine4) { split_nibbles(load_affine(group, b, shape, 256, to), to->w); }

LOADER(affine8) {
    const uint8_t *from = load_affine(group, b, shape, 512, to);
    MK_UNROLL
    for (int i = 0; i < 8; i++) to->w[i] = _mm512_loadu_si512(from + 64 * i);
}

// MARK: Few tokens

// Two chains of four vpdpbusd a token; the offset's share is where the first chain starts.
MK_INLINE MK_AVX512_DOT __m512 add_block(const int8_kind kind, const block *w, const int8_tile *x, size_t b, size_t t, __m512 sum) {
    size_t width = x->width;
    const int32_t *codes = x->codes + b * 8 * width + t;
    __m512 scale = _mm512_set1_ps(x->scales[b * width + t]);
    const int32_t *sums = x->sums + b * int8_halves(kind) * width + t;
    __m512i first = _mm512_setzero_si512(), second = _mm512_setzero_si512();
    if (!int8_has_minimum(kind)) first = _mm512_set1_epi32(sums[0]);
    if (kind == INT8_HALVES) second = _mm512_set1_epi32(sums[width]);
    MK_UNROLL
    for (size_t i = 0; i < 4; i++) {
        first = _mm512_dpbusd_epi32(first, w->w[i], _mm512_set1_epi32(codes[i * width]));
        second = _mm512_dpbusd_epi32(second, w->w[i + 4], _mm512_set1_epi32(codes[(i + 4) * width]));
    }
    if (int8_has_minimum(kind)) {
        MK_UNROLL
        for (size_t half = 0; half < int8_halves(kind); half++)
            sum = _mm512_fmadd_ps(w->minimum[half], _mm512_set1_ps(mk_float_from_bits((uint32_t)sums[half * width])), sum);
    }
    if (int8_halves(kind) == 1)
        return _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(first, second)), _mm512_mul_ps(w->scale[0], scale), sum);
    __m512 both = _mm512_mul_ps(_mm512_cvtepi32_ps(first), w->scale[0]);
    both = _mm512_fmadd_ps(_mm512_cvtepi32_ps(second), w->scale[1], both);
    return _mm512_fmadd_ps(both, scale, sum);
}

// MARK: One set of functions for each format

// The hardware's prefetcher does not keep up where blocks take long or super-blocks are not read from front to back: ask for what
// lies ahead, in order. `bytes` are those of eight blocks. Past the end of the weight a prefetch does nothing.
MK_INLINE MK_AVX512_DOT void prefetch_ahead(const uint8_t *group, size_t b, const size_t bytes) {
    const uint8_t *from = group + b * (bytes / 8) + 8192;
    MK_UNROLL
    for (size_t i = 0; i < (bytes / 8 + 63) / 64; i++) _mm_prefetch((const char *)(from + 64 * i), _MM_HINT_T0);
}

#define DECODE(name, kind, super, tokens)                                                                              \
    MK_AVX512_DOT static void decode_##name##_##tokens(const uint8_t *group, int8_shape shape, const int8_tile *x, \
                                                       float *to) {                                             \
        __m512 sum[tokens];                                                                                     \
        MK_UNROLL                                                                                               \
        for (size_t t = 0; t < tokens; t++) sum[t] = _mm512_setzero_ps();                                       \
        for (size_t b = 0; b < shape.blocks; b++) {                                                                   \
            block w;                                                                                            \
            prefetch_ahead(group, b, super);                                                                    \
            load_##name(group, b, shape, &w);                                                                  \
            MK_UNROLL                                                                                           \
            for (size_t t = 0; t < tokens; t++) sum[t] = add_block(kind, &w, x, b, t, sum[t]);                  \
        }                                                                                                       \
        MK_UNROLL                                                                                               \
        for (size_t t = 0; t < tokens; t++) _mm512_storeu_ps(to + t * 16, sum[t]);                              \
    }

#define FORMAT(name, kind_, offset_, super)                                                                                     \
    DECODE(name, kind_, super, 1)                                                                                               \
    DECODE(name, kind_, super, 2)                                                                                               \
    DECODE(name, kind_, super, 3)                                                                                               \
    DECODE(name, kind_, super, 4)                                                                                        \
    DECODE(name, kind_, super, 5)                                                                                        \
    DECODE(name, kind_, super, 6)                                                                                        \
    DECODE(name, kind_, super, 7)                                                                                        \
    DECODE(name, kind_, super, 8)                                                                                               \
    MK_AVX512_DOT static void unpack_##name(const uint8_t *group, int8_shape shape, size_t first, size_t count,             \
                                            size_t stride, uint8_t *codes, float *scales, float *minima) {               \
        for (size_t b = first; b < first + count; b++) {                                                                 \
            block w;                                                                                                     \
            load_##name(group, b, shape, &w);                                                                           \
            MK_UNROLL                                                                                                    \
            for (size_t i = 0; i < 8; i++, codes += stride) _mm512_storeu_si512(codes, w.w[i]);                          \
            MK_UNROLL                                                                                                    \
            for (size_t half = 0; half < int8_halves(kind_); half++) {                                                   \
                _mm512_storeu_ps(scales, w.scale[half]);                                                                 \
                scales += stride / 4;                                                                                    \
                if (int8_has_minimum(kind_)) {                                                                           \
                    _mm512_storeu_ps(minima, w.minimum[half]);                                                           \
                    minima += stride / 4;                                                                                \
                }                                                                                                        \
            }                                                                                                            \
        }                                                                                                                \
    }                                                                                                                    \
    MK_AVX512_DOT static void to_f32_##name(const uint8_t *group, int8_shape shape, size_t first, size_t count, float *to,  \
                                            size_t ld) {                                                                 \
        for (size_t b = first; b < first + count; b++) {                                                                 \
            block w;                                                                                                     \
            load_##name(group, b, shape, &w);                                                                           \
            MK_UNROLL                                                                                                    \
            for (int i = 0; i < 8; i++) {                                                                                \
                const int half = int8_halves(kind_) == 2 ? i / 4 : 0;                                                    \
                __m512 scale = w.scale[half];                                                                            \
                /* An offset is a power of two, so its product with the scale is exact. */                               \
                __m512 base = int8_has_minimum(kind_) ? w.minimum[half]                                                  \
                                                      : _mm512_mul_ps(scale, _mm512_set1_ps(-(float)offset_));           \
                MK_UNROLL                                                                                                \
                for (unsigned j = 0; j < 4; j++, to += ld) {                                                             \
                    __m512i code = _mm512_and_si512(_mm512_srli_epi32(w.w[i], 8 * j), _mm512_set1_epi32(255));           \
                    _mm512_storeu_ps(to, _mm512_fmadd_ps(_mm512_cvtepi32_ps(code), scale, base));                        \
                }                                                                                                        \
            }                                                                                                            \
        }                                                                                                                \
    }                                                                                                                    \
    static const int8_format format_##name = {                                                                           \
        .kind = kind_, .offset = offset_,                                                                                \
        .decode = {decode_##name##_1, decode_##name##_2, decode_##name##_3, decode_##name##_4, decode_##name##_5,        \
                   decode_##name##_6, decode_##name##_7, decode_##name##_8},                                             \
        .unpack = unpack_##name, .to_f32 = to_f32_##name};

FORMAT(q4_0, INT8_OFFSET, 8, 2304)
FORMAT(q4_1, INT8_MINIMUM, 0, 2560)
FORMAT(q5_0, INT8_OFFSET, 16, 2816)
FORMAT(q5_1, INT8_MINIMUM, 0, 3072)
FORMAT(q8_0, INT8_OFFSET, 128, 4352)
FORMAT(q2_k, INT8_HALVES_MINIMUM, 0, 1344)
FORMAT(q3_k, INT8_HALVES, 4, 1856)
FORMAT(q4_k, INT8_MINIMUM, 0, 2368)
FORMAT(q5_k, INT8_MINIMUM, 0, 2880)
FORMAT(q6_k, INT8_HALVES, 32, 3392)
FORMAT(iq4_nl, INT8_OFFSET, 128, 2304)
FORMAT(iq4_xs, INT8_OFFSET, 128, 2240)
FORMAT(mxfp4, INT8_OFFSET, 128, 2176)
FORMAT(affine4, INT8_MINIMUM, 0, 2048)
FORMAT(affine8, INT8_MINIMUM, 0, 4096)

const int8_format *int8_format_of(const mk_weight *weight) {
    switch (weight->layout) {
    case MK_LAYOUT_Q4_0: return &format_q4_0;
    case MK_LAYOUT_Q4_1: return &format_q4_1;
    case MK_LAYOUT_Q5_0: return &format_q5_0;
    case MK_LAYOUT_Q5_1: return &format_q5_1;
    case MK_LAYOUT_Q8_0: return &format_q8_0;
    case MK_LAYOUT_Q2_K: return &format_q2_k;
    case MK_LAYOUT_Q3_K: return &format_q3_k;
    case MK_LAYOUT_Q4_K: return &format_q4_k;
    case MK_LAYOUT_Q5_K: return &format_q5_k;
    case MK_LAYOUT_Q6_K: return &format_q6_k;
    case MK_LAYOUT_IQ4_NL: return &format_iq4_nl;
    case MK_LAYOUT_IQ4_XS: return &format_iq4_xs;
    case MK_LAYOUT_MXFP4: return &format_mxfp4;
    case MK_LAYOUT_AFFINE: return weight->bits == 4 ? &format_affine4 : weight->bits == 8 ? &format_affine8 : NULL;
    default: return NULL;
    }
}

#endif
