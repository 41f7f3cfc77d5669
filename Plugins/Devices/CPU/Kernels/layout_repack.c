// The repacked form of GGUF's block formats: rows in groups of 16, one to each dword of a 512-bit vector.
//
// A group's columns follow one another in units, so that a product reads memory in one stream:
//   Q4_0, IQ4_NL   2 blocks: d f16[2][16], then 4 vectors a block                       576 bytes
//   Q8_0           2 blocks: d f16[2][16], then 8 vectors a block                      1088
//   Q5_0           2 blocks: d f16[2][16], then 1 vector of fifth bits and 4 a block    704
//   Q4_1           1 block:  d f16[16], m f16[16], 4 vectors                            320
//   Q5_1           1 block:  d f16[16], m f16[16], fifth bits, 4 vectors                384
//   MXFP4          1 block:  e u8[16], 4 vectors                                        272
//   Q2_K           d f16[16], m f16[16], scale and minimum u8[16][16], 16 vectors      1344
//   Q3_K           d f32[16], scale i8[16][16], 16 vectors of low, 8 of high bits      1856
//   Q4_K           d f16[16], m f16[16], (scale u8[16], minimum u8[16])[8], 32 vectors 2368
//   Q5_K           the same with 8 vectors of fifth bits before the 32                 2880
//   Q6_K           d f32[16], scale i8[16][16], 32 vectors of low, 16 of high bits     3392
//   IQ4_XS         d f32[16], scale i8[8][16], 32 vectors                              2240
// A unit of two blocks at the end of an odd row holds one, its d taking 32 bytes.
//
// Dword l of a vector is the dword that row l's block has at that place in GGUF, so element j of a block lies in the same byte and
// bits as there, with two exceptions: Q8_0 holds q + 128 (the unsigned operand of VNNI), and the fifth bits of Q5_0 and Q5_1 are
// regrouped so that bit i of byte b belongs to element 4 i + b. Rows beyond the weight's have scale 0.
#include "layout_internal.h"

enum { lanes = 16, vector = 64 };

static size_t unit_blocks(mk_layout layout) {
    switch (layout) {
    case MK_LAYOUT_Q4_0:
    case MK_LAYOUT_IQ4_NL:
    case MK_LAYOUT_Q8_0:
    case MK_LAYOUT_Q5_0: return 2;
    default: return 1;
    }
}

// Bytes of one block of 16 rows.
static size_t group_block_bytes(mk_layout layout) {
    switch (layout) {
    case MK_LAYOUT_Q4_0:
    case MK_LAYOUT_IQ4_NL: return 32 + 4 * vector;
    case MK_LAYOUT_Q8_0: return 32 + 8 * vector;
    case MK_LAYOUT_Q5_0: return 32 + 5 * vector;
    case MK_LAYOUT_Q4_1: return 64 + 4 * vector;
    case MK_LAYOUT_Q5_1: return 64 + 5 * vector;
    case MK_LAYOUT_MXFP4: return 16 + 4 * vector;
    case MK_LAYOUT_Q2_K: return 64 + 256 + 16 * vector;
    case MK_LAYOUT_Q3_K: return 64 + 256 + 24 * vector;
    case MK_LAYOUT_Q4_K: return 64 + 256 + 32 * vector;
    case MK_LAYOUT_Q5_K: return 64 + 256 + 40 * vector;
    case MK_LAYOUT_Q6_K: return 64 + 256 + 48 * vector;
    case MK_LAYOUT_IQ4_XS: return 64 + 128 + 32 * vector;
    default: return 0;
    }
}

bool mk_can_repack(const mk_weight *weight) {
    bool known = weight->layout == MK_LAYOUT_AFFINE ? layout_affine_repacks(weight) : group_block_bytes(weight->layout) > 0;
    return known && !weight->repacked && mk_current_level() >= MK_LEVEL_AVX512_DOT && weight->columns && weight->columns % mk_block_columns(weight->layout) == 0 &&
           weight->row_bytes == mk_row_bytes(weight->layout, weight->bits, weight->columns);
}

size_t layout_group_bytes(const mk_weight *weight) {
    if (weight->layout == MK_LAYOUT_AFFINE) return layout_affine_group_bytes(weight);
    return weight->columns / mk_block_columns(weight->layout) * group_block_bytes(weight->layout);
}

size_t mk_repacked_bytes(const mk_weight *weight) { return mk_ceil_div(weight->rows, lanes) * layout_group_bytes(weight); }

const uint8_t *layout_group(const mk_weight *weight, size_t row) {
    return (const uint8_t *)weight->data + row / lanes * layout_group_bytes(weight);
}

// MARK: Where things lie

// Of block b of `blocks`: its scales, and the vectors behind its unit's scales.
struct place {
    uint8_t *scales, *vectors;
};

static struct place locate(mk_layout layout, uint8_t *group, size_t b, size_t blocks) {
    size_t bytes = group_block_bytes(layout);
    if (unit_blocks(layout) == 1) {
        return (struct place){group + b * bytes, group + b * bytes + (layout == MK_LAYOUT_MXFP4 ? 16 : 64)};
    }
    uint8_t *unit = group + b / 2 * 2 * bytes;
    bool alone = b % 2 == 0 && b + 1 == blocks;
    return (struct place){unit + b % 2 * 32, unit + (alone ? 32 : 64) + b % 2 * (bytes - 32)};
}

static void put_dwords(uint8_t *vectors, size_t lane, const uint8_t *from, size_t count) {
    for (size_t v = 0; v < count; v++) memcpy(vectors + v * vector + lane * 4, from + v * 4, 4);
}

static void get_dwords(const uint8_t *vectors, size_t lane, uint8_t *to, size_t count) {
    for (size_t v = 0; v < count; v++) memcpy(to + v * 4, vectors + v * vector + lane * 4, 4);
}

static void put_half(uint8_t *scales, size_t lane, const uint8_t *from) { memcpy(scales + 2 * lane, from, 2); }
static void get_half(const uint8_t *scales, size_t lane, uint8_t *to) { memcpy(to, scales + 2 * lane, 2); }

// Bit 4 i + b of a block's word to bit i of byte b, and back.
static void spread_bits(const uint8_t from[4], uint8_t to[4]) {
    memset(to, 0, 4);
    for (int e = 0; e < 32; e++) to[e % 4] |= (uint8_t)((from[e / 8] >> (e % 8) & 1) << (e / 4));
}

static void gather_bits(const uint8_t from[4], uint8_t to[4]) {
    memset(to, 0, 4);
    for (int e = 0; e < 32; e++) to[e / 8] |= (uint8_t)((from[e % 4] >> (e / 4) & 1) << (e % 8));
}

// Q4_K's twelve bytes to eight scales and eight minima, and back (layout_gguf.c names the bits).
static void split_scales(const uint8_t packed[12], uint8_t scale[8], uint8_t minimum[8]) {
    for (int j = 0; j < 4; j++) {
        scale[j] = packed[j] & 63;
        minimum[j] = packed[j + 4] & 63;
        scale[j + 4] = (uint8_t)((packed[j + 8] & 15) | (packed[j] >> 6 << 4));
        minimum[j + 4] = (uint8_t)((packed[j + 8] >> 4) | (packed[j + 4] >> 6 << 4));
    }
}

static void join_scales(const uint8_t scale[8], const uint8_t minimum[8], uint8_t packed[12]) {
    for (int j = 0; j < 4; j++) {
        packed[j] = (uint8_t)(scale[j] | (scale[j + 4] >> 4 << 6));
        packed[j + 4] = (uint8_t)(minimum[j] | (minimum[j + 4] >> 4 << 6));
        packed[j + 8] = (uint8_t)((scale[j + 4] & 15) | (minimum[j + 4] & 15) << 4);
    }
}

static void put_f32(uint8_t *to, size_t lane, const uint8_t *half) {
    uint16_t bits;
    memcpy(&bits, half, 2);
    float value = mk_f16_to_f32(bits);
    memcpy(to + 4 * lane, &value, 4);
}

static void get_f32(const uint8_t *from, size_t lane, uint8_t *half) {
    float value;
    memcpy(&value, from + 4 * lane, 4);
    uint16_t bits = mk_f32_to_f16(value);
    memcpy(half, &bits, 2);
}

// IQ4_XS's eight 6-bit scales, less 32.
static int8_t iq4_xs_scale(const uint8_t *from, unsigned j) {
    unsigned high = from[2] | (unsigned)from[3] << 8;
    return (int8_t)((int)(((from[4 + j / 2] >> (j % 2 * 4)) & 15u) | ((high >> (2 * j)) & 3u) << 4) - 32);
}

// Q3_K's sixteen 6-bit scales: four low bits in a nibble, two high bits in the last four bytes.
static void split_scales_q3(const uint8_t packed[12], uint8_t scale[16]) {
    for (int j = 0; j < 16; j++) {
        int low = j < 8 ? packed[j] & 15 : packed[j - 8] >> 4, high = (packed[8 + j % 4] >> (2 * (j / 4))) & 3;
        scale[j] = (uint8_t)((low | high << 4) - 32);
    }
}

static void join_scales_q3(const uint8_t scale[16], uint8_t packed[12]) {
    memset(packed, 0, 12);
    for (int j = 0; j < 16; j++) {
        unsigned bits = (unsigned)((int8_t)scale[j] + 32);
        packed[j % 8] |= (uint8_t)((bits & 15u) << (j / 8 * 4));
        packed[8 + j % 4] |= (uint8_t)((bits >> 4) << (2 * (j / 4)));
    }
}

// MARK: One block of one row

static void put_block(mk_layout layout, const uint8_t *from, uint8_t *group, size_t b, size_t blocks, size_t lane) {
    struct place place = locate(layout, group, b, blocks);
    uint8_t *scales = place.scales, *vectors = place.vectors, work[32];
    switch (layout) {
    case MK_LAYOUT_Q4_0:
    case MK_LAYOUT_IQ4_NL:
        put_half(scales, lane, from);
        put_dwords(vectors, lane, from + 2, 4);
        break;
    case MK_LAYOUT_Q8_0:
        put_half(scales, lane, from);
        for (int i = 0; i < 32; i++) work[i] = from[2 + i] ^ 0x80;
        put_dwords(vectors, lane, work, 8);
        break;
    case MK_LAYOUT_Q5_0:
        put_half(scales, lane, from);
        spread_bits(from + 2, work);
        put_dwords(vectors, lane, work, 1);
        put_dwords(vectors + vector, lane, from + 6, 4);
        break;
    case MK_LAYOUT_Q4_1:
        put_half(scales, lane, from);
        put_half(scales + 32, lane, from + 2);
        put_dwords(vectors, lane, from + 4, 4);
        break;
    case MK_LAYOUT_Q5_1:
        put_half(scales, lane, from);
        put_half(scales + 32, lane, from + 2);
        spread_bits(from + 4, work);
        put_dwords(vectors, lane, work, 1);
        put_dwords(vectors + vector, lane, from + 8, 4);
        break;
    case MK_LAYOUT_MXFP4:
        scales[lane] = from[0];
        put_dwords(vectors, lane, from + 1, 4);
        break;
    case MK_LAYOUT_Q4_K:
    case MK_LAYOUT_Q5_K:
        put_half(scales, lane, from);
        put_half(scales + 32, lane, from + 2);
        split_scales(from + 4, work, work + 8);
        for (size_t j = 0; j < 8; j++) {
            vectors[j * 32 + lane] = work[j];
            vectors[j * 32 + 16 + lane] = work[8 + j];
        }
        put_dwords(vectors + 256, lane, from + 16, layout == MK_LAYOUT_Q4_K ? 32 : 40);
        break;
    case MK_LAYOUT_Q2_K:
        put_half(scales, lane, from + 80);
        put_half(scales + 32, lane, from + 82);
        for (size_t j = 0; j < 16; j++) vectors[j * 16 + lane] = from[j];
        put_dwords(vectors + 256, lane, from + 16, 16);
        break;
    case MK_LAYOUT_Q3_K:
        put_f32(scales, lane, from + 108);
        split_scales_q3(from + 96, work);
        for (size_t j = 0; j < 16; j++) vectors[j * 16 + lane] = work[j];
        put_dwords(vectors + 256, lane, from + 32, 16);
        put_dwords(vectors + 256 + 16 * vector, lane, from, 8);
        break;
    case MK_LAYOUT_Q6_K:
        put_f32(scales, lane, from + 208);
        for (size_t j = 0; j < 16; j++) vectors[j * 16 + lane] = from[192 + j];
        put_dwords(vectors + 256, lane, from, 48);
        break;
    case MK_LAYOUT_IQ4_XS:
        put_f32(scales, lane, from);
        for (unsigned j = 0; j < 8; j++) vectors[j * 16 + lane] = (uint8_t)iq4_xs_scale(from, j);
        put_dwords(vectors + 128, lane, from + 8, 32);
        break;
    default: break;
    }
}

// The block as GGUF stores it, so that one reader serves both forms.
static void get_block(mk_layout layout, const uint8_t *group, size_t b, size_t blocks, size_t lane, uint8_t *to) {
    struct place place = locate(layout, (uint8_t *)(uintptr_t)group, b, blocks);
    const uint8_t *scales = place.scales, *vectors = place.vectors;
    uint8_t work[16];
    switch (layout) {
    case MK_LAYOUT_Q4_0:
    case MK_LAYOUT_IQ4_NL:
        get_half(scales, lane, to);
        get_dwords(vectors, lane, to + 2, 4);
        break;
    case MK_LAYOUT_Q8_0:
        get_half(scales, lane, to);
        get_dwords(vectors, lane, to + 2, 8);
        for (int i = 0; i < 32; i++) to[2 + i] ^= 0x80;
        break;
    case MK_LAYOUT_Q5_0:
        get_half(scales, lane, to);
        get_dwords(vectors, lane, work, 1);
        gather_bits(work, to + 2);
        get_dwords(vectors + vector, lane, to + 6, 4);
        break;
    case MK_LAYOUT_Q4_1:
        get_half(scales, lane, to);
        get_half(scales + 32, lane, to + 2);
        get_dwords(vectors, lane, to + 4, 4);
        break;
    case MK_LAYOUT_Q5_1:
        get_half(scales, lane, to);
        get_half(scales + 32, lane, to + 2);
        get_dwords(vectors, lane, work, 1);
        gather_bits(work, to + 4);
        get_dwords(vectors + vector, lane, to + 8, 4);
        break;
    case MK_LAYOUT_MXFP4:
        to[0] = scales[lane];
        get_dwords(vectors, lane, to + 1, 4);
        break;
    case MK_LAYOUT_Q4_K:
    case MK_LAYOUT_Q5_K:
        get_half(scales, lane, to);
        get_half(scales + 32, lane, to + 2);
        for (size_t j = 0; j < 8; j++) {
            work[j] = vectors[j * 32 + lane];
            work[8 + j] = vectors[j * 32 + 16 + lane];
        }
        join_scales(work, work + 8, to + 4);
        get_dwords(vectors + 256, lane, to + 16, layout == MK_LAYOUT_Q4_K ? 32 : 40);
        break;
    case MK_LAYOUT_Q2_K:
        get_half(scales, lane, to + 80);
        get_half(scales + 32, lane, to + 82);
        for (size_t j = 0; j < 16; j++) to[j] = vectors[j * 16 + lane];
        get_dwords(vectors + 256, lane, to + 16, 16);
        break;
    case MK_LAYOUT_Q3_K:
        get_f32(scales, lane, to + 108);
        for (size_t j = 0; j < 16; j++) work[j] = vectors[j * 16 + lane];
        join_scales_q3(work, to + 96);
        get_dwords(vectors + 256, lane, to + 32, 16);
        get_dwords(vectors + 256 + 16 * vector, lane, to, 8);
        break;
    case MK_LAYOUT_Q6_K:
        get_f32(scales, lane, to + 208);
        for (size_t j = 0; j < 16; j++) to[192 + j] = vectors[j * 16 + lane];
        get_dwords(vectors + 256, lane, to, 48);
        break;
    case MK_LAYOUT_IQ4_XS: {
        get_f32(scales, lane, to);
        memset(to + 2, 0, 6);
        for (unsigned j = 0; j < 8; j++) {
            unsigned scale = (unsigned)((int8_t)vectors[j * 16 + lane] + 32);
            to[4 + j / 2] |= (uint8_t)((scale & 15u) << (j % 2 * 4));
            to[2 + j / 4] |= (uint8_t)((scale >> 4) << (2 * j % 8));
        }
        get_dwords(vectors + 128, lane, to + 8, 32);
        break;
    }
    default: break;
    }
}

void layout_read_repacked(const mk_weight *weight, size_t row, size_t first, size_t columns, float *to) {
    if (weight->layout == MK_LAYOUT_AFFINE) {
        layout_affine_read(weight, row, first, columns, to);
        return;
    }
    layout_block_reader reader = layout_gguf_reader(weight->layout);
    size_t block = mk_block_columns(weight->layout), blocks = weight->columns / block;
    uint8_t stored[256];
    for (size_t b = first / block, end = b + columns / block; b < end; b++, to += block) {
        get_block(weight->layout, layout_group(weight, row), b, blocks, row % lanes, stored);
        reader(stored, 1, to);
    }
}

struct repack {
    const mk_weight *weight;
    uint8_t *to;
};

static void repack_group(void *arg, size_t index, size_t thread) {
    (void)thread;
    const struct repack *repack = arg;
    const mk_weight *weight = repack->weight;
    size_t group_bytes = layout_group_bytes(weight), block_bytes = layout_block_bytes(weight->layout);
    size_t blocks = weight->columns / mk_block_columns(weight->layout);
    uint8_t *group = repack->to + index * group_bytes;
    if ((index + 1) * lanes > weight->rows) memset(group, 0, group_bytes);
    for (size_t lane = 0; lane < lanes && index * lanes + lane < weight->rows; lane++) {
        if (weight->layout == MK_LAYOUT_AFFINE) {
            layout_affine_put_row(weight, index * lanes + lane, group);
            continue;
        }
        const uint8_t *from = (const uint8_t *)weight->data + (index * lanes + lane) * weight->row_bytes;
        for (size_t b = 0; b < blocks; b++) put_block(weight->layout, from + b * block_bytes, group, b, blocks, lane);
    }
}

mk_weight mk_repack(const mk_pool *pool, const mk_weight *weight, void *to) {
    struct repack repack = {weight, to};
    mk_parallel(pool, mk_ceil_div(weight->rows, lanes), repack_group, &repack);
    mk_weight repacked = *weight;
    repacked.repacked = true;
    repacked.data = to;
    return repacked;
}
