// How `mk_linear` divides its work: a few tokens read the weight's rows as they lie, more go through packed tiles.
#ifndef MARTLET_LINEAR_INTERNAL_H
#define MARTLET_LINEAR_INTERNAL_H

#include "gemm_internal.h"

/// Most tokens for which rows are read as they lie.
#define LINEAR_FEW_TOKENS ((size_t)MK_LINEAR_FEW)
/// Rows and tokens that a dot-product kernel takes at once.
#define LINEAR_ROWS ((size_t)4)
#define LINEAR_TOKENS ((size_t)4)

/// Dot products of `row_count` <= LINEAR_ROWS rows, `row_bytes` apart, with `tokens` <= LINEAR_TOKENS vectors `ld` elements apart:
/// sums[token * LINEAR_ROWS + row]. x holds f32, or bf16 where the kernel's name says so.
typedef void (*linear_dot)(const void *rows, size_t row_bytes, size_t row_count, const void *x, size_t ld, size_t tokens,
                           size_t columns, float *sums);

typedef struct linear_dots {
    linear_dot f32, f16, bf16;
    linear_dot bf16_bf16;                                        // NULL: round nothing, use bf16
    void (*round_bf16)(const float *from, size_t count, uint16_t *to);
} linear_dots;

const linear_dots *linear_dots_table(void);
extern const linear_dots linear_dots_portable;
#if defined(__x86_64__)
extern const linear_dots linear_dots_avx2, linear_dots_avx512, linear_dots_avx512_dot;
#endif

/// One row of a 4-bit codebook weight with up to LINEAR_TOKENS tokens: sums[token * LINEAR_ROWS]. x holds what
/// `linear_codebook_order` made of each token, bf16 or f32.
typedef void (*linear_row)(const mk_weight *weight, size_t row, const void *x, size_t ldx, size_t tokens, float *sums);

bool linear_codebook_fits(const mk_weight *weight);
#if defined(__x86_64__)
void linear_codebook_order(const float *x, size_t columns, bool rounded, void *to);
void linear_codebook_bf16(const mk_weight *weight, size_t row, const void *x, size_t ldx, size_t tokens, float *sums);
void linear_codebook_f32(const mk_weight *weight, size_t row, const void *x, size_t ldx, size_t tokens, float *sums);
#endif

/// Products for at most LINEAR_FEW_TOKENS tokens over weights of one layout, any that is not repacked; the codebook's kernel fits all or
/// none.
size_t linear_rows_scratch_bytes(const mk_weight *weight, size_t tokens, mk_activation activation, size_t threads);
void linear_rows(const mk_pool *pool, const float *x, size_t ldx, size_t tokens, const mk_linear_part *parts, size_t count,
                 mk_activation activation, void *scratch);

#endif
