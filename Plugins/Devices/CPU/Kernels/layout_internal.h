// Reading weights of any layout as f32.
#ifndef MARTLET_LAYOUT_INTERNAL_H
#define MARTLET_LAYOUT_INTERNAL_H

#include "cpu_linear.h"

/// Columns that `layout_unpack` reads together: `first` and `columns` must be multiples, the end of a row aside.
static inline size_t layout_block(const mk_weight *weight) { return mk_block_columns(weight->layout); }

/// Turns columns first..<first + columns of `rows` rows to f32 at `to`, `ld` apart.
void layout_unpack(const mk_weight *weight, size_t row, size_t rows, size_t first, size_t columns, float *to, size_t ld);

/// The same of a repacked weight, columns by rows: element (row + r, first + c) goes to to[c * ld + r]. `row` is a multiple of 16 and
/// `rows` at most 32; rows up to the next multiple of 16 are written, those beyond the weight as zeros.
void layout_unpack_groups(const mk_weight *weight, size_t row, size_t rows, size_t first, size_t columns, float *to, size_t ld);

/// One row of a repacked weight, in plain C.
void layout_read_repacked(const mk_weight *weight, size_t row, size_t first, size_t columns, float *to);

/// Bytes of 16 repacked rows, and where the group with `row` begins.
size_t layout_group_bytes(const mk_weight *weight);
const uint8_t *layout_group(const mk_weight *weight, size_t row);

/// The same for AFFINE (layout_repack_affine.c). The shift turns the number of a block of 32 columns into that of its scale.
bool layout_affine_repacks(const mk_weight *weight);
unsigned layout_affine_shift(const mk_weight *weight);
size_t layout_affine_group_bytes(const mk_weight *weight);
void layout_affine_put_row(const mk_weight *weight, size_t row, uint8_t *group);
void layout_affine_read(const mk_weight *weight, size_t row, size_t first, size_t columns, float *to);

/// `blocks` blocks at `from` to f32, in plain C. One for each GGUF layout.
typedef void (*layout_block_reader)(const uint8_t *from, size_t blocks, float *to);
layout_block_reader layout_gguf_reader(mk_layout layout);

/// Bytes of one block of a GGUF layout; 0 for the others.
size_t layout_block_bytes(mk_layout layout);

/// Runs of columns with one scale, for the layouts without blocks. `from` is where the first column's bits begin: for bit-packed
/// layouts on a whole byte.
typedef struct layout_columns {
    void (*f16)(const uint16_t *from, size_t count, float *to);
    void (*bf16)(const uint16_t *from, size_t count, float *to);
    void (*fp8)(const uint8_t *from, size_t count, float scale, float *to);
    void (*affine)(const uint8_t *from, size_t bits, size_t count, float scale, float zero, float *to);
    void (*codebook)(const uint8_t *from, const float *codebook, size_t count, float scale, float *to);
} layout_columns;

#if defined(__x86_64__)
extern const layout_columns layout_columns_avx512;
#endif

#endif
