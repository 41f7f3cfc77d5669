// The blocked product C = alpha A B + beta C + bias that every dense path shares (after Goto and van de Geijn, "Anatomy of
// high-performance matrix multiplication", 2008): operands are packed into tiles that a micro-kernel reads in order.
#ifndef MARTLET_GEMM_INTERNAL_H
#define MARTLET_GEMM_INTERNAL_H

#include "cpu_linear.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define MK_AVX2 __attribute__((target("avx2,fma,f16c")))
#define MK_AVX512 __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq")))
#define MK_AVX512_DOT \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni")))
#endif

#define MK_INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define MK_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MK_UNROLL _Pragma("GCC unroll 16")
#endif

/// A micro-kernel with the packing it reads. A packed panel of width w holds, for each step of `pair` depths, w dwords: one f32
/// (pair 1) or two bf16 (pair 2) of each lane. Lanes and depths beyond the matrix are zero.
typedef struct gemm_tile {
    size_t mr, nr;      // rows and columns of C held in registers
    size_t pair;        // depths in one packed dword
    size_t depth;       // depths packed at a time: a panel of A stays in L1, a block of B in L2; a multiple of 256
    size_t lane_bytes;  // bytes of one packed dword
    /// C[m, n] = alpha (A B) + beta C + bias over `steps` packed steps; beta 0 does not read C; bias may be NULL.
    void (*kernel)(size_t steps, const void *a, const void *b, float *c, size_t ldc, size_t m, size_t n, float alpha,
                   float beta, const float *bias);
    /// Packs element (lane, k) = source[lane * ld + k].
    void (*pack_k)(const float *source, size_t ld, size_t lanes, size_t k, size_t width, void *packed);
    /// Packs element (lane, k) = source[k * ld + lane].
    void (*pack_lane)(const float *source, size_t ld, size_t lanes, size_t k, size_t width, void *packed);
    /// The same two from bf16; NULL where the source is to be converted to f32 first.
    void (*pack_k_bf16)(const uint16_t *source, size_t ld, size_t lanes, size_t k, size_t width, void *packed);
    void (*pack_lane_bf16)(const uint16_t *source, size_t ld, size_t lanes, size_t k, size_t width, void *packed);
} gemm_tile;

/// The tile for f32 arithmetic, and the one for bf16 factors with f32 sums (f32 arithmetic where the processor has none).
const gemm_tile *gemm_tile_f32(void);
const gemm_tile *gemm_tile_bf16(void);

extern const gemm_tile gemm_portable_f32;
#if defined(__x86_64__)
extern const gemm_tile gemm_avx2_f32, gemm_avx512_f32, gemm_avx512_bf16;
#endif

/// Where an operand comes from: an f32 matrix, or the rows of a weight.
typedef struct gemm_operand {
    const float *f32;         // NULL: `weight`
    const mk_weight *weight;
    size_t ld;                // of f32
    bool lane_contiguous;     // neighbours in memory are lanes (rows of A, columns of B), not depths
    size_t first_row;         // of weight
} gemm_operand;

typedef struct gemm_call {
    const gemm_tile *tile;
    size_t m, n, k;
    gemm_operand a, b;  // a is f32
    float alpha, beta;
    const float *bias;  // [n] or NULL
    float *c;
    size_t ldc;
    /// A second product over `more_k` depths, added as if A and B went on by them; both f32.
    size_t more_k;
    gemm_operand more_a, more_b;
} gemm_call;

size_t gemm_scratch_bytes(const gemm_call *call, size_t threads);
void gemm_run(const mk_pool *pool, const gemm_call *call, void *scratch);

/// Most columns of C that are dot products of A's rows as they lie, without a packed copy of A.
#define GEMM_FEW_COLUMNS ((size_t)16)
#if defined(__x86_64__)
/// C [m, n] = alpha A B + beta C with bf16 factors, n <= GEMM_FEW_COLUMNS, A's rows along the depths.
bool gemm_few_columns_fits(const gemm_call *call);
size_t gemm_few_columns_scratch_bytes(const gemm_call *call);
void gemm_few_columns(const mk_pool *pool, const gemm_call *call, void *scratch);
#endif

#endif
