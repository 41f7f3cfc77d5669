// From stored bytes to f32, whatever the layout: the path of training, of exact activations, and of layouts without a kernel.
#include "layout_internal.h"

size_t mk_block_columns(mk_layout layout) {
    switch (layout) {
    case MK_LAYOUT_Q4_0:
    case MK_LAYOUT_Q4_1:
    case MK_LAYOUT_Q5_0:
    case MK_LAYOUT_Q5_1:
    case MK_LAYOUT_Q8_0:
    case MK_LAYOUT_IQ4_NL:
    case MK_LAYOUT_MXFP4: return 32;
    case MK_LAYOUT_Q2_K:
    case MK_LAYOUT_Q3_K:
    case MK_LAYOUT_Q4_K:
    case MK_LAYOUT_Q5_K:
    case MK_LAYOUT_Q6_K:
    case MK_LAYOUT_IQ4_XS: return 256;
    default: return 1;
    }
}

size_t layout_block_bytes(mk_layout layout) {
    switch (layout) {
    case MK_LAYOUT_Q4_0:
    case MK_LAYOUT_IQ4_NL: return 18;
    case MK_LAYOUT_Q4_1: return 20;
    case MK_LAYOUT_Q5_0: return 22;
    case MK_LAYOUT_Q5_1: return 24;
    case MK_LAYOUT_Q8_0: return 34;
    case MK_LAYOUT_MXFP4: return 17;
    case MK_LAYOUT_Q2_K: return 84;
    case MK_LAYOUT_Q3_K: return 110;
    case MK_LAYOUT_Q4_K: return 144;
    case MK_LAYOUT_Q5_K: return 176;
    case MK_LAYOUT_Q6_K: return 210;
    case MK_LAYOUT_IQ4_XS: return 136;
    default: return 0;
    }
}

size_t mk_row_bytes(mk_layout layout, uint8_t bits, size_t columns) {
    if (columns % mk_block_columns(layout) || columns > SIZE_MAX / 256) return 0;
    switch (layout) {
    case MK_LAYOUT_F32: return 4 * columns;
    case MK_LAYOUT_F16:
    case MK_LAYOUT_BF16: return 2 * columns;
    case MK_LAYOUT_CODEBOOK4: return (columns + 1) / 2;
    case MK_LAYOUT_AFFINE: return (columns * bits + 7) / 8;
    case MK_LAYOUT_FP8_E4M3: return columns;
    default: return columns / mk_block_columns(layout) * layout_block_bytes(layout);
    }
}

static float scale_at(const void *scales, mk_scale_type type, size_t index) {
    switch (type) {
    case MK_SCALE_F16: return mk_f16_to_f32(((const uint16_t *)scales)[index]);
    case MK_SCALE_BF16: return mk_bf16_to_f32(((const uint16_t *)scales)[index]);
    default: return ((const float *)scales)[index];
    }
}

// MARK: Runs of columns in plain C

static void f16_columns(const uint16_t *from, size_t count, float *to) {
    for (size_t c = 0; c < count; c++) to[c] = mk_f16_to_f32(from[c]);
}

static void bf16_columns(const uint16_t *from, size_t count, float *to) {
    for (size_t c = 0; c < count; c++) to[c] = mk_bf16_to_f32(from[c]);
}

static float fp8_to_f32(uint8_t byte) {
    uint32_t exponent = (byte >> 3) & 15u, mantissa = byte & 7u, sign = (uint32_t)(byte & 0x80u) << 24;
    if ((byte & 0x7fu) == 0x7fu) return mk_float_from_bits(sign | 0x7fc00000u);
    if (exponent) return mk_float_from_bits(sign | ((exponent + 120) << 23) | (mantissa << 20));
    float value = (float)mantissa * 0x1p-9f;
    return sign ? -value : value;
}

static void fp8_columns(const uint8_t *from, size_t count, float scale, float *to) {
    for (size_t c = 0; c < count; c++) to[c] = fp8_to_f32(from[c]) * scale;
}

static void affine_columns(const uint8_t *from, size_t bits, size_t count, float scale, float zero, float *to) {
    uint32_t mask = (1u << bits) - 1u;
    for (size_t c = 0; c < count; c++) {
        size_t bit = c * bits, byte = bit / 8, shift = bit % 8;
        uint32_t window = from[byte];
        if (shift + bits > 8) window |= (uint32_t)from[byte + 1] << 8;
        to[c] = ((float)((window >> shift) & mask) - zero) * scale;
    }
}

static void codebook_columns(const uint8_t *from, const float *codebook, size_t count, float scale, float *to) {
    for (size_t c = 0; c < count; c++) to[c] = codebook[c % 2 ? from[c / 2] & 15 : from[c / 2] >> 4] * scale;
}

static const layout_columns portable = {f16_columns, bf16_columns, fp8_columns, affine_columns, codebook_columns};

static const layout_columns *columns_table(void) {
#if defined(__x86_64__)
    if (mk_current_level() >= MK_LEVEL_AVX512) return &layout_columns_avx512;
#endif
    return &portable;
}

// MARK: Rows

// Columns that share a scale, cut where a byte begins: `first` is at most 7 columns past such a place, and those are read and dropped.
static void scaled_row(const mk_weight *weight, size_t row, size_t first, size_t columns, float *to) {
    const layout_columns *table = columns_table();
    const uint8_t *from = (const uint8_t *)weight->data + row * weight->row_bytes;
    size_t groups = mk_ceil_div(weight->columns, weight->group);
    size_t scale_row = weight->layout == MK_LAYOUT_FP8_E4M3 ? row / weight->group_rows : row;
    for (size_t c = first, last = first + columns; c < last;) {
        size_t end = mk_min(last, (c / weight->group + 1) * weight->group), scale_index = scale_row * groups + c / weight->group;
        float scale = scale_at(weight->scales, weight->scale_type, scale_index), zero = 0;
        if (weight->layout == MK_LAYOUT_AFFINE)
            zero = weight->zeros ? scale_at(weight->zeros, weight->scale_type, scale_index) : (float)(1u << (weight->bits - 1));
        if (weight->layout == MK_LAYOUT_FP8_E4M3) {
            table->fp8(from + c, end - c, scale, to);
        } else {
            size_t bits = weight->layout == MK_LAYOUT_AFFINE ? weight->bits : 4, start = c / 8 * 8;
            float before[8 + 8];
            size_t lead = mk_min(8, end - start);
            if (c > start) {
                // Off a byte's beginning: through a small buffer up to the next one.
                if (weight->layout == MK_LAYOUT_AFFINE)
                    table->affine(from + start * bits / 8, bits, lead, scale, zero, before);
                else
                    table->codebook(from + start / 2, weight->codebook, lead, scale, before);
                memcpy(to, before + (c - start), (start + lead - c) * sizeof(float));
                to += start + lead - c;
                c = start + lead;
                continue;
            }
            if (weight->layout == MK_LAYOUT_AFFINE)
                table->affine(from + c * bits / 8, bits, end - c, scale, zero, to);
            else
                table->codebook(from + c / 2, weight->codebook, end - c, scale, to);
        }
        to += end - c;
        c = end;
    }
}

void layout_unpack(const mk_weight *weight, size_t row, size_t rows, size_t first, size_t columns, float *to, size_t ld) {
    layout_block_reader reader = layout_gguf_reader(weight->layout);
    const layout_columns *table = columns_table();
    size_t block = mk_block_columns(weight->layout), block_bytes = layout_block_bytes(weight->layout);
    for (size_t end = row + rows; row < end; row++, to += ld) {
        if (weight->repacked) {
            layout_read_repacked(weight, row, first, columns, to);
            continue;
        }
        const uint8_t *from = (const uint8_t *)weight->data + row * weight->row_bytes;
        switch (weight->layout) {
        case MK_LAYOUT_F32: memcpy(to, (const float *)(const void *)from + first, columns * sizeof(float)); break;
        case MK_LAYOUT_F16:
            table->f16((const uint16_t *)(const void *)from + first, columns, to);
            break;
        case MK_LAYOUT_BF16:
            table->bf16((const uint16_t *)(const void *)from + first, columns, to);
            break;
        case MK_LAYOUT_CODEBOOK4:
        case MK_LAYOUT_AFFINE:
        case MK_LAYOUT_FP8_E4M3: scaled_row(weight, row, first, columns, to); break;
        default: reader(from + first / block * block_bytes, columns / block, to);
        }
    }
}

void mk_dequantize_rows(const mk_weight *weight, size_t row, size_t count, float *to, size_t ld) {
    layout_unpack(weight, row, count, 0, weight->columns, to, ld);
}

struct lookup {
    const mk_weight *table;
    const int32_t *ids;
    float *to;
    size_t ld;
};

static void look_up(void *arg, size_t index, size_t thread) {
    (void)thread;
    const struct lookup *lookup = arg;
    const mk_weight *table = lookup->table;
    float *to = lookup->to + index * lookup->ld;
    int32_t id = lookup->ids[index];
    if (id < 0 || (size_t)id >= table->rows)
        memset(to, 0, table->columns * sizeof(float));
    else
        layout_unpack(table, (size_t)id, 1, 0, table->columns, to, 0);
}

void mk_embedding(const mk_pool *pool, const mk_weight *table, const int32_t *ids, size_t count, float *to, size_t ld) {
    struct lookup lookup = {table, ids, to, ld};
    mk_parallel(pool, count, look_up, &lookup);
}
