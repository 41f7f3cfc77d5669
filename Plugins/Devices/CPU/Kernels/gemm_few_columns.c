// Products with few columns, such as those of low-rank adapters: limited by reading A, which the blocked product would copy first.
// Each column of B is held as a row of bf16, and C's elements are dot products with A's rows, three rows at a time.
#include "gemm_internal.h"

#if defined(__x86_64__)

enum { rows_high = 3, columns_wide = 8, step = 32 };
#define FEW_ROWS ((size_t)24)

struct few {
    const gemm_call *call;
    uint16_t *b;  // [n rounded up to columns_wide, k rounded up to step]
    size_t ldb;
};

bool gemm_few_columns_fits(const gemm_call *call) {
    return call->n <= GEMM_FEW_COLUMNS && call->tile == &gemm_avx512_bf16 && !call->a.lane_contiguous && !call->b.weight && !call->bias
        && !call->more_k && call->k > 0;
}

static size_t padded_columns(const gemm_call *call) { return mk_ceil_div(call->n, columns_wide) * columns_wide; }

size_t gemm_few_columns_scratch_bytes(const gemm_call *call) {
    return MK_ALIGN + padded_columns(call) * mk_ceil_div(call->k, step) * step * sizeof(uint16_t);
}

static void round_b(void *arg, size_t index, size_t thread) {
    (void)thread;
    const struct few *few = arg;
    const gemm_call *call = few->call;
    const gemm_operand *from = &call->b;
    uint16_t *to = few->b + index * few->ldb;
    for (size_t k = 0; k < few->ldb; k++) {
        bool inside = k < call->k && index < call->n;
        to[k] = inside ? mk_f32_to_bf16(from->lane_contiguous ? from->f32[k * from->ld + index] : from->f32[index * from->ld + k]) : 0;
    }
}

MK_INLINE MK_AVX512_DOT __m512bh round_step(const float *from, size_t live) {
    if (live >= step) return _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + 16), _mm512_loadu_ps(from));
    __mmask16 low = live >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << live) - 1u);
    __mmask16 high = live > 16 ? (__mmask16)((1u << (live - 16)) - 1u) : 0;
    return _mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(high, from + 16), _mm512_maskz_loadu_ps(low, from));
}

// C [rows, columns_wide] from column `first` on.
MK_INLINE MK_AVX512_DOT void dots(const struct few *few, size_t row, const int rows, size_t first) {
    const gemm_call *call = few->call;
    const float *a = call->a.f32 + row * call->a.ld;
    const uint16_t *b = few->b + first * few->ldb;
    __m512 sum[rows_high][columns_wide];
    MK_UNROLL
    for (int i = 0; i < rows; i++) {
        MK_UNROLL
        for (int j = 0; j < columns_wide; j++) sum[i][j] = _mm512_setzero_ps();
    }
    for (size_t k = 0; k < call->k; k += step) {
        __m512bh left[rows_high];
        MK_UNROLL
        for (int i = 0; i < rows; i++) left[i] = round_step(a + (size_t)i * call->a.ld + k, call->k - k);
        MK_UNROLL
        for (int j = 0; j < columns_wide; j++) {
            __m512bh right = (__m512bh)_mm512_loadu_si512(b + (size_t)j * few->ldb + k);
            MK_UNROLL
            for (int i = 0; i < rows; i++) sum[i][j] = _mm512_dpbf16_ps(sum[i][j], left[i], right);
        }
    }
    size_t columns = mk_min(columns_wide, call->n - first);
    for (int i = 0; i < rows; i++) {
        float *c = call->c + (row + (size_t)i) * call->ldc + first, values[columns_wide];
        MK_UNROLL
        for (int j = 0; j < columns_wide; j++) values[j] = _mm512_reduce_add_ps(sum[i][j]);
        for (size_t j = 0; j < columns; j++) c[j] = call->alpha * values[j] + (call->beta == 0 ? 0 : call->beta * c[j]);
    }
}

MK_AVX512_DOT static void take_rows(void *arg, size_t index, size_t thread) {
    (void)thread;
    const struct few *few = arg;
    const gemm_call *call = few->call;
    size_t last = mk_min((index + 1) * FEW_ROWS, call->m);
    for (size_t first = 0; first < call->n; first += columns_wide) {
        size_t row = index * FEW_ROWS;
        for (; row + rows_high <= last; row += rows_high) dots(few, row, rows_high, first);
        for (; row < last; row++) dots(few, row, 1, first);
    }
}

void gemm_few_columns(const mk_pool *pool, const gemm_call *call, void *scratch) {
    uint8_t *cursor = scratch;
    struct few few = {.call = call, .ldb = mk_ceil_div(call->k, step) * step};
    few.b = mk_take(&cursor, padded_columns(call) * few.ldb * sizeof(uint16_t));
    mk_parallel(pool, padded_columns(call), round_b, &few);
    mk_parallel(pool, mk_ceil_div(call->m, FEW_ROWS), take_rows, &few);
}

#endif
