// The repacked form of AFFINE with 4 or 8 bits: for each group of columns with a scale of its own
//   scale f32[16], zero f32[16], then for each 32 columns 4 or 8 vectors           128 + group / 32 * (256 or 512) bytes
// a dword of a vector for each of 16 rows. With 4 bits, byte j of a row's 16 holds column j in its low nibble and j + 16 in its high.
#include "layout_internal.h"

enum { lanes = 16, vector = 64, head = 2 * lanes * 4 };

bool layout_affine_repacks(const mk_weight *weight) {
    size_t group = weight->group;
    if ((weight->bits != 4 && weight->bits != 8) || weight->columns % 32 || group == 0) return false;
    // Kernels find a block's group by a shift.
    return group >= weight->columns || (group % 32 == 0 && (group & (group - 1)) == 0);
}

unsigned layout_affine_shift(const mk_weight *weight) {
    if (weight->group >= weight->columns) return 63;
    unsigned shift = 0;
    while ((size_t)32 << shift < weight->group) shift++;
    return shift;
}

static size_t block_bytes(const mk_weight *weight) { return (weight->bits == 4 ? 4 : 8) * vector; }

size_t layout_affine_group_bytes(const mk_weight *weight) {
    return mk_ceil_div(weight->columns, weight->group) * head + weight->columns / 32 * block_bytes(weight);
}

static size_t place(const mk_weight *weight, size_t b, size_t *scales) {
    size_t index = b >> layout_affine_shift(weight), bytes = block_bytes(weight);
    *scales = index * head + (index ? (index << layout_affine_shift(weight)) * bytes : 0);
    return (index + 1) * head + b * bytes;
}

static float scale_at(const void *scales, mk_scale_type type, size_t index) {
    if (type == MK_SCALE_F32) return ((const float *)scales)[index];
    uint16_t bits = ((const uint16_t *)scales)[index];
    return type == MK_SCALE_F16 ? mk_f16_to_f32(bits) : mk_bf16_to_f32(bits);
}

void layout_affine_put_row(const mk_weight *weight, size_t row, uint8_t *group) {
    const uint8_t *from = (const uint8_t *)weight->data + row * weight->row_bytes;
    size_t lane = row % lanes, groups = mk_ceil_div(weight->columns, weight->group);
    for (size_t b = 0; b < weight->columns / 32; b++) {
        size_t scales, codes = place(weight, b, &scales), index = row * groups + b * 32 / weight->group;
        float scale = scale_at(weight->scales, weight->scale_type, index), zero = (float)(1u << (weight->bits - 1));
        if (weight->zeros) zero = scale_at(weight->zeros, weight->scale_type, index);
        memcpy(group + scales + 4 * lane, &scale, 4);
        memcpy(group + scales + 4 * lanes + 4 * lane, &zero, 4);
        uint8_t bytes[32];
        if (weight->bits == 8)
            memcpy(bytes, from + 32 * b, 32);
        else
            for (size_t j = 0; j < 16; j++) {
                uint8_t low = from[16 * b + j / 2] >> (j % 2 * 4) & 15, high = from[16 * b + 8 + j / 2] >> (j % 2 * 4) & 15;
                bytes[j] = (uint8_t)(low | high << 4);
            }
        for (size_t v = 0; v < block_bytes(weight) / vector; v++) memcpy(group + codes + v * vector + 4 * lane, bytes + 4 * v, 4);
    }
}

void layout_affine_read(const mk_weight *weight, size_t row, size_t first, size_t columns, float *to) {
    const uint8_t *group = layout_group(weight, row);
    size_t lane = row % lanes;
    for (size_t c = first; c < first + columns; c++) {
        size_t scales, codes = place(weight, c / 32, &scales), j = c % 32, byte = weight->bits == 4 ? j % 16 : j;
        float scale, zero;
        memcpy(&scale, group + scales + 4 * lane, 4);
        memcpy(&zero, group + scales + 4 * lanes + 4 * lane, 4);
        unsigned code = group[codes + byte / 4 * vector + 4 * lane + byte % 4];
        if (weight->bits == 4) code = j < 16 ? code & 15 : code >> 4;
        *to++ = ((float)code - zero) * scale;
    }
}
