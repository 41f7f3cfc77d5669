// Products: dense f32, and linear maps over weights of every layout.
//
// Shapes. x [tokens, columns], w [rows, columns], y = x wᵀ + bias [tokens, rows]; all but w are f32 and row-major.
// Each `*_scratch_bytes` function gives the size of the `scratch` its partner wants, for a number of threads; it may be called
// with any arguments the partner takes, data pointers aside.
//
// Accuracy. MK_ACTIVATION_F32 multiplies in f32: the error is f32 summation's, about sqrt(columns) 2^-24 |x| |w|.
// MK_ACTIVATION_BF16 rounds activations (and f32, f16 or quantized weights) to bf16: each factor has a relative error of at most
// 2^-9 (unit roundoff of 8 significant bits), sums are f32; f32 subnormals count as zero. One-token products over f16 keep f32.
// MK_ACTIVATION_INT8 applies to the layouts that `mk_int8_supported` names, and is MK_ACTIVATION_BF16 for the others. Each block of
// 32 activations is rounded to int8 with scale s = max|x| / 127, so |error of x| <= s / 2, and the product's error is at most
//     sum over blocks of max|x_block| / 254 * sum |w_block|,
// the weights and the sums inside a block being exact; blocks are summed in f32. A block whose max|x| is at most 2^-120 counts as
// zeros. Tests: RepackTests.
// Where the processor lacks BF16 or VNNI instructions, both are computed as MK_ACTIVATION_F32.
#ifndef MARTLET_CPU_LINEAR_H
#define MARTLET_CPU_LINEAR_H

#include "cpu_common.h"

#ifdef __cplusplus
extern "C" {
#endif

// MARK: Weights

/// How a weight lies in memory. The Q, IQ and MXFP4 names are GGUF's block formats.
typedef enum mk_layout {
    MK_LAYOUT_F32,
    MK_LAYOUT_F16,
    MK_LAYOUT_BF16,
    MK_LAYOUT_Q4_0,
    MK_LAYOUT_Q4_1,
    MK_LAYOUT_Q5_0,
    MK_LAYOUT_Q5_1,
    MK_LAYOUT_Q8_0,
    MK_LAYOUT_Q2_K,
    MK_LAYOUT_Q3_K,
    MK_LAYOUT_Q4_K,
    MK_LAYOUT_Q5_K,
    MK_LAYOUT_Q6_K,
    MK_LAYOUT_IQ4_NL,
    MK_LAYOUT_IQ4_XS,
    MK_LAYOUT_MXFP4,
    /// 4-bit codes into `codebook`, the even column in the high nibble (bitsandbytes NF4 and FP4); w = codebook[q] * scale.
    MK_LAYOUT_CODEBOOK4,
    /// `bits`-wide unsigned integers, a little-endian bit stream in each row; w = (q - zero) * scale.
    MK_LAYOUT_AFFINE,
    /// FP8 E4M3 (no infinities, NaN at 0x7f and 0xff); w = value * scale, scales over [group_rows, group] blocks.
    MK_LAYOUT_FP8_E4M3,
    MK_LAYOUT_COUNT,
} mk_layout;

typedef enum mk_scale_type { MK_SCALE_F32, MK_SCALE_F16, MK_SCALE_BF16 } mk_scale_type;

/// A weight [rows, columns], or several stacked. Nothing is owned.
typedef struct mk_weight {
    mk_layout layout;
    bool repacked;     ///< data is what `mk_repack` wrote
    uint8_t bits;      ///< AFFINE: 2, 3, 4, 5, 6 or 8
    mk_scale_type scale_type;
    size_t rows, columns;
    size_t row_bytes;  ///< from one row to the next in data; `mk_row_bytes` if the rows are dense
    const void *data;
    /// CODEBOOK4, AFFINE: [rows, ceil(columns / group)]. FP8_E4M3: [ceil(rows / group_rows), ceil(columns / group)].
    const void *scales;
    const void *zeros;  ///< AFFINE: like scales, or NULL for 2^(bits - 1)
    size_t group, group_rows;
    const float *codebook;  ///< CODEBOOK4: 16 entries
} mk_weight;

/// Columns in one block of the layout; `columns` of a weight must be a multiple (GGUF's rule). 1 for layouts without blocks.
size_t mk_block_columns(mk_layout layout);

/// Bytes of one dense row; 0 if `columns` does not fit the layout.
size_t mk_row_bytes(mk_layout layout, uint8_t bits, size_t columns);

/// Turns `count` rows from `row` on to f32.
void mk_dequantize_rows(const mk_weight *weight, size_t row, size_t count, float *to, size_t ld);

/// Writes row ids[i] of the table to row i; an id outside the table gives a row of zeros.
void mk_embedding(const mk_pool *pool, const mk_weight *table, const int32_t *ids, size_t count, float *to, size_t ld);

// MARK: Repacking

/// Whether the weight has a repacked form that this processor multiplies faster; its rows must be dense. The caller repacks once
/// at load and may then let go of the original. Rows come in groups of 16, so a stack of experts needs a multiple of 16 rows each.
bool mk_can_repack(const mk_weight *weight);

/// Bytes of the repacked weight: the original's with rows rounded up to 16, and 1 to 6 in a hundred more for Q3_K to Q6_K and
/// IQ4_XS; AFFINE takes 8 bytes a row and group for scale and zero. `to` must be 64-byte aligned; 2 MiB pages (`mk_huge_alloc`) read fastest.
size_t mk_repacked_bytes(const mk_weight *weight);

/// Rewrites the weight at `to` and returns its description. Every function here takes either form.
mk_weight mk_repack(const mk_pool *pool, const mk_weight *weight, void *to);

// MARK: Products

typedef enum mk_activation { MK_ACTIVATION_F32, MK_ACTIVATION_BF16, MK_ACTIVATION_INT8 } mk_activation;

/// Whether MK_ACTIVATION_INT8 takes this weight on this processor.
bool mk_int8_supported(const mk_weight *weight);

/// C [m, n] = alpha op(A) op(B) + beta C, op(A) [m, k], op(B) [k, n]; a transposed operand is stored the other way round. C may hold
/// anything if beta is 0. `factors` may round A and B to bf16 as MK_ACTIVATION_BF16 does.
typedef struct mk_gemm {
    bool transpose_a, transpose_b;
    size_t m, n, k;
    float alpha;
    const float *a;
    size_t lda;
    const float *b;
    size_t ldb;
    float beta;
    float *c;
    size_t ldc;
    mk_activation factors;
} mk_gemm;

size_t mk_gemm_scratch_bytes(const mk_gemm *gemm, size_t threads);
void mk_gemm_f32(const mk_pool *pool, const mk_gemm *gemm, void *scratch);

/// `count` products of one shape; the strides say how far A, B and C of the next lie (0 repeats an operand; not for C).
size_t mk_gemm_batched_scratch_bytes(const mk_gemm *gemm, size_t threads);
void mk_gemm_batched(const mk_pool *pool, const mk_gemm *gemm, size_t count, size_t stride_a, size_t stride_b,
                     size_t stride_c, void *scratch);

/// y [tokens, rows] = x wᵀ + bias; bias [rows] may be NULL.
size_t mk_linear_scratch_bytes(const mk_weight *weight, size_t tokens, mk_activation activation, size_t threads);
void mk_linear(const mk_pool *pool, const float *x, size_t ldx, size_t tokens, const mk_weight *weight, const float *bias,
               mk_activation activation, float *y, size_t ldy, void *scratch);

/// One of several products of the same x: y [tokens, rows] = x wᵀ + bias; bias [rows] may be NULL.
typedef struct mk_linear_part {
    const mk_weight *weight;
    const float *bias;
    float *y;
    size_t ldy;
} mk_linear_part;

/// Most parts of a call, and most tokens for which parts run side by side.
#define MK_LINEAR_PARTS 8
#define MK_LINEAR_FEW 16

/// The same values as `mk_linear` gives for each part, whose weights have one number of columns. For few tokens x is rounded once and
/// the parts run side by side.
size_t mk_linear_parts_scratch_bytes(const mk_linear_part *parts, size_t count, size_t tokens, mk_activation activation, size_t threads);
void mk_linear_parts(const mk_pool *pool, const float *x, size_t ldx, size_t tokens, const mk_linear_part *parts, size_t count,
                     mk_activation activation, void *scratch);

/// A product of low rank beside one with a weight, as adapters add it: low [tokens, rank] by up, [columns of the result, rank] or, with
/// `is_along_columns`, [rank, columns of the result]; both dense.
typedef struct mk_low_rank {
    size_t rank;
    const float *low, *up;
    bool is_along_columns;
} mk_low_rank;

/// y = x wᵀ + bias + low upᵀ, in one pass over y where products go through packed tiles.
size_t mk_linear_low_rank_scratch_bytes(const mk_weight *weight, size_t tokens, mk_activation activation, size_t rank, size_t threads);
void mk_linear_low_rank(const mk_pool *pool, const float *x, size_t ldx, size_t tokens, const mk_weight *weight, const float *bias,
                        const mk_low_rank *low, mk_activation activation, float *y, size_t ldy, void *scratch);

/// dx [tokens, columns] = dy w, plus `low` unless that is NULL, added to what dx holds if `accumulate`. Scratch is for a rank of `low`.
size_t mk_linear_backward_input_scratch_bytes(const mk_weight *weight, size_t tokens, mk_activation activation,
                                              size_t rank, size_t threads);
void mk_linear_backward_input(const mk_pool *pool, const float *dy, size_t lddy, size_t tokens, const mk_weight *weight,
                              const mk_low_rank *low, mk_activation activation, bool accumulate, float *dx, size_t lddx,
                              void *scratch);

// MARK: Experts

/// The part of a weight from row `first` on. Of a repacked weight `first` must be a multiple of 16, of FP8_E4M3 one of group_rows.
mk_weight mk_weight_rows(const mk_weight *weight, size_t first, size_t rows);

/// Rows of activations, each with the expert it goes to; an expert outside 0..<experts gives a row of zeros and no gradient.
typedef struct mk_routing {
    size_t rows, experts;
    const int32_t *expert;  // [rows]
} mk_routing;

/// y [routing.rows, n] with row r = x_r w_eᵀ + bias_e, e = expert[r]; the weight stacks the experts, rows = experts n.
/// bias [experts, n] may be NULL.
size_t mk_expert_linear_scratch_bytes(const mk_routing *routing, const mk_weight *weight, mk_activation activation, size_t threads);
void mk_expert_linear(const mk_pool *pool, const float *x, size_t ldx, const mk_routing *routing, const mk_weight *weight,
                      const float *bias, mk_activation activation, float *y, size_t ldy, void *scratch);

/// dx [routing.rows, columns] with row r = dy_r w_e.
size_t mk_expert_linear_backward_input_scratch_bytes(const mk_routing *routing, const mk_weight *weight, mk_activation activation,
                                                     size_t threads);
void mk_expert_linear_backward_input(const mk_pool *pool, const float *dy, size_t lddy, const mk_routing *routing,
                                     const mk_weight *weight, mk_activation activation, float *dx, size_t lddx, void *scratch);

/// dw [experts, n, k] = sum over the expert's rows of dy_rᵀ x_r, plus beta dw.
size_t mk_expert_outer_scratch_bytes(const mk_routing *routing, size_t n, size_t k, mk_activation factors, size_t threads);
void mk_expert_outer(const mk_pool *pool, const float *dy, size_t lddy, size_t n, const float *x, size_t ldx, size_t k,
                     const mk_routing *routing, float beta, mk_activation factors, float *dw, void *scratch);

#ifdef __cplusplus
}
#endif

#endif
