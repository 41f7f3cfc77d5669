// GGUF's block formats in plain C, as ggml's ggml-common.h lays them out: the reference that every kernel is held against.
// Fields stand in the order in which they are stored; d, m are f16 scale and minimum.
#include "layout_internal.h"

static float half_at(const uint8_t *from) {
    uint16_t bits;
    memcpy(&bits, from, sizeof bits);
    return mk_f16_to_f32(bits);
}

// MARK: Blocks of 32: byte j holds elements j (low nibble) and j + 16 (high)

// d, q[16]: (q - 8) d
static void read_q4_0(const uint8_t *from, size_t blocks, float *to) {
    for (; blocks--; from += 18, to += 32) {
        float d = half_at(from);
        const uint8_t *q = from + 2;
        for (int j = 0; j < 16; j++) {
            to[j] = (float)((q[j] & 15) - 8) * d;
            to[j + 16] = (float)((q[j] >> 4) - 8) * d;
        }
    }
}

// d, m, q[16]: q d + m
static void read_q4_1(const uint8_t *from, size_t blocks, float *to) {
    for (; blocks--; from += 20, to += 32) {
        float d = half_at(from), m = half_at(from + 2);
        const uint8_t *q = from + 4;
        for (int j = 0; j < 16; j++) {
            to[j] = (float)(q[j] & 15) * d + m;
            to[j + 16] = (float)(q[j] >> 4) * d + m;
        }
    }
}

static uint32_t word_at(const uint8_t *from) {
    uint32_t bits;
    memcpy(&bits, from, sizeof bits);
    return bits;
}

// d, h u32, q[16]: bit j of h is bit 4 of element j; (q - 16) d
static void read_q5_0(const uint8_t *from, size_t blocks, float *to) {
    for (; blocks--; from += 22, to += 32) {
        float d = half_at(from);
        uint32_t h = word_at(from + 2);
        const uint8_t *q = from + 6;
        for (int j = 0; j < 16; j++) {
            to[j] = (float)((int)((q[j] & 15u) | ((h >> j & 1u) << 4)) - 16) * d;
            to[j + 16] = (float)((int)((q[j] >> 4) | ((h >> (j + 16) & 1u) << 4)) - 16) * d;
        }
    }
}

// d, m, h u32, q[16]: q d + m
static void read_q5_1(const uint8_t *from, size_t blocks, float *to) {
    for (; blocks--; from += 24, to += 32) {
        float d = half_at(from), m = half_at(from + 2);
        uint32_t h = word_at(from + 4);
        const uint8_t *q = from + 8;
        for (int j = 0; j < 16; j++) {
            to[j] = (float)((q[j] & 15u) | ((h >> j & 1u) << 4)) * d + m;
            to[j + 16] = (float)((q[j] >> 4) | ((h >> (j + 16) & 1u) << 4)) * d + m;
        }
    }
}

// d, q i8[32]: q d
static void read_q8_0(const uint8_t *from, size_t blocks, float *to) {
    for (; blocks--; from += 34, to += 32) {
        float d = half_at(from);
        for (int j = 0; j < 32; j++) to[j] = (float)(int8_t)from[2 + j] * d;
    }
}

static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

static void read_codes(const uint8_t *q, const int8_t *values, float d, float *to) {
    for (int j = 0; j < 16; j++) {
        to[j] = (float)values[q[j] & 15] * d;
        to[j + 16] = (float)values[q[j] >> 4] * d;
    }
}

// d, q[16]: values[q] d
static void read_iq4_nl(const uint8_t *from, size_t blocks, float *to) {
    for (; blocks--; from += 18, to += 32) read_codes(from + 2, iq4_values, half_at(from), to);
}

// OCP Microscaling MXFP4. e, q[16]: E2M1 value 2^(e - 127); the table holds twice the value, hence e - 128.
static void read_mxfp4(const uint8_t *from, size_t blocks, float *to) {
    static const int8_t values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    for (; blocks--; from += 17, to += 32) {
        uint32_t e = from[0];
        float d = mk_float_from_bits(e < 2 ? 0x00200000u << e : (e - 1) << 23);
        read_codes(from + 1, values, d, to);
    }
}

// MARK: Super-blocks of 256

// scales[16] (low nibble scale, high nibble minimum of 16 elements), q[64], d, m: s d q - n m
static void read_q2_k(const uint8_t *from, size_t blocks, float *to) {
    for (; blocks--; from += 84) {
        float d = half_at(from + 80), m = half_at(from + 82);
        for (int i = 0; i < 256; i += 16) {
            uint8_t scale = from[i / 16];
            const uint8_t *q = from + 16 + i / 128 * 32 + i % 32;
            int shift = i % 128 / 32 * 2;
            float s = d * (float)(scale & 15), n = m * (float)(scale >> 4);
            for (int l = 0; l < 16; l++) *to++ = s * (float)((q[l] >> shift) & 3) - n;
        }
    }
}

// h[32] (bit i of byte l: bit 2 of element 32 i + l), q[64], scales[12] (16 of 6 bits), d: (s - 32) d (q - 4)
static void read_q3_k(const uint8_t *from, size_t blocks, float *to) {
    for (; blocks--; from += 110) {
        const uint8_t *packed = from + 96;
        float d = half_at(from + 108);
        for (int i = 0; i < 256; i += 16) {
            int j = i / 16;
            int low = j < 8 ? packed[j] & 15 : packed[j - 8] >> 4, high = (packed[8 + j % 4] >> (2 * (j / 4))) & 3;
            float s = d * (float)((low | (high << 4)) - 32);
            const uint8_t *h = from + i % 32, *q = from + 32 + i / 128 * 32 + i % 32;
            int shift = i % 128 / 32 * 2, bit = i / 32;
            for (int l = 0; l < 16; l++) *to++ = s * (float)(((q[l] >> shift) & 3) - ((h[l] >> bit) & 1 ? 0 : 4));
        }
    }
}

// Scale and minimum j of the eight, 6 bits each in 12 bytes: the first four whole, the rest with their top bits in the first.
static void scale_k4(const uint8_t *packed, int j, int *scale, int *minimum) {
    if (j < 4) {
        *scale = packed[j] & 63;
        *minimum = packed[j + 4] & 63;
    } else {
        *scale = (packed[j + 4] & 15) | ((packed[j - 4] >> 6) << 4);
        *minimum = (packed[j + 4] >> 4) | ((packed[j] >> 6) << 4);
    }
}

// d, m, scales[12], q[128]: 32 bytes hold 32 elements in low nibbles and the next 32 in high; s d q - n m
static void read_q4_k(const uint8_t *from, size_t blocks, float *to) {
    for (; blocks--; from += 144) {
        float d = half_at(from), m = half_at(from + 2);
        for (int j = 0; j < 8; j++) {
            int scale, minimum;
            scale_k4(from + 4, j, &scale, &minimum);
            float s = d * (float)scale, n = m * (float)minimum;
            const uint8_t *q = from + 16 + j / 2 * 32;
            for (int l = 0; l < 32; l++) *to++ = s * (float)((q[l] >> (j % 2 * 4)) & 15) - n;
        }
    }
}

// d, m, scales[12], h[32] (bit j of byte l: bit 4 of element 32 j + l), q[128]
static void read_q5_k(const uint8_t *from, size_t blocks, float *to) {
    for (; blocks--; from += 176) {
        float d = half_at(from), m = half_at(from + 2);
        for (int j = 0; j < 8; j++) {
            int scale, minimum;
            scale_k4(from + 4, j, &scale, &minimum);
            float s = d * (float)scale, n = m * (float)minimum;
            const uint8_t *h = from + 16, *q = from + 48 + j / 2 * 32;
            for (int l = 0; l < 32; l++)
                *to++ = s * (float)(((q[l] >> (j % 2 * 4)) & 15) | (((h[l] >> j) & 1) << 4)) - n;
        }
    }
}

// low[128], high[64], scales i8[16], d: (q - 32) s d. In each half of 128, element 32 i + l has its low nibble in byte
// l + 32 (i % 2), upper nibble for i >= 2, and its two high bits in byte l at bit 2 i.
static void read_q6_k(const uint8_t *from, size_t blocks, float *to) {
    for (; blocks--; from += 210) {
        float d = half_at(from + 208);
        for (int i = 0; i < 256; i += 16) {
            int half = i / 128, part = i % 128 / 32, l0 = i % 32;
            const uint8_t *low = from + half * 64 + part % 2 * 32 + l0, *high = from + 128 + half * 32 + l0;
            float s = d * (float)(int8_t)from[192 + i / 16];
            for (int l = 0; l < 16; l++)
                *to++ = s * (float)((((low[l] >> (part / 2 * 4)) & 15) | (((high[l] >> (2 * part)) & 3) << 4)) - 32);
        }
    }
}

// d, scales_h u16, scales_l[4] (eight of 6 bits), q[128]: (s - 32) d values[q]
static void read_iq4_xs(const uint8_t *from, size_t blocks, float *to) {
    for (; blocks--; from += 136) {
        float d = half_at(from);
        unsigned high = from[2] | (unsigned)from[3] << 8;
        for (unsigned j = 0; j < 8; j++, to += 32) {
            int scale = (int)(((from[4 + j / 2] >> (j % 2 * 4)) & 15u) | (((high >> (2 * j)) & 3u) << 4));
            read_codes(from + 8 + j * 16, iq4_values, d * (float)(scale - 32), to);
        }
    }
}

layout_block_reader layout_gguf_reader(mk_layout layout) {
    switch (layout) {
    case MK_LAYOUT_Q4_0: return read_q4_0;
    case MK_LAYOUT_Q4_1: return read_q4_1;
    case MK_LAYOUT_Q5_0: return read_q5_0;
    case MK_LAYOUT_Q5_1: return read_q5_1;
    case MK_LAYOUT_Q8_0: return read_q8_0;
    case MK_LAYOUT_Q2_K: return read_q2_k;
    case MK_LAYOUT_Q3_K: return read_q3_k;
    case MK_LAYOUT_Q4_K: return read_q4_k;
    case MK_LAYOUT_Q5_K: return read_q5_k;
    case MK_LAYOUT_Q6_K: return read_q6_k;
    case MK_LAYOUT_IQ4_NL: return read_iq4_nl;
    case MK_LAYOUT_IQ4_XS: return read_iq4_xs;
    case MK_LAYOUT_MXFP4: return read_mxfp4;
    default: return NULL;
    }
}
