// The public f32 products.
#include "gemm_internal.h"

static gemm_call call_for(const mk_gemm *gemm) {
    return (gemm_call){
        .tile = gemm->factors == MK_ACTIVATION_F32 ? gemm_tile_f32() : gemm_tile_bf16(),
        .m = gemm->m,
        .n = gemm->n,
        .k = gemm->k,
        .a = {.f32 = gemm->a, .ld = gemm->lda, .lane_contiguous = gemm->transpose_a},
        .b = {.f32 = gemm->b, .ld = gemm->ldb, .lane_contiguous = !gemm->transpose_b},
        .alpha = gemm->alpha,
        .beta = gemm->beta,
        .c = gemm->c,
        .ldc = gemm->ldc,
    };
}

// The transposed product: op(B)ᵀ op(A)ᵀ into a dense [n, m].
static gemm_call turned(const mk_gemm *gemm, float *c) {
    mk_gemm other = *gemm;
    other.m = gemm->n, other.n = gemm->m;
    other.a = gemm->b, other.lda = gemm->ldb, other.transpose_a = !gemm->transpose_b;
    other.b = gemm->a, other.ldb = gemm->lda, other.transpose_b = !gemm->transpose_a;
    other.alpha = 1, other.beta = 0, other.c = c, other.ldc = gemm->m;
    return call_for(&other);
}

// Few columns of many rows whose neighbours in memory are rows: turned round, the many are the lanes, and nothing of them is copied
// that is not used at once.
static bool turns(const mk_gemm *gemm) {
    return gemm->transpose_a && gemm->n <= GEMM_FEW_COLUMNS && gemm->m >= 8 * gemm->n && gemm->k > 0;
}

size_t mk_gemm_scratch_bytes(const mk_gemm *gemm, size_t threads) {
    if (turns(gemm)) {
        gemm_call call = turned(gemm, NULL);
        return MK_ALIGN + mk_align_up(gemm->m * gemm->n * sizeof(float)) + gemm_scratch_bytes(&call, threads);
    }
    gemm_call call = call_for(gemm);
#if defined(__x86_64__)
    if (gemm_few_columns_fits(&call)) return gemm_few_columns_scratch_bytes(&call);
#endif
    return gemm_scratch_bytes(&call, threads);
}

void mk_gemm_f32(const mk_pool *pool, const mk_gemm *gemm, void *scratch) {
    if (turns(gemm)) {
        uint8_t *cursor = scratch;
        float *c = mk_take(&cursor, mk_align_up(gemm->m * gemm->n * sizeof(float)));
        gemm_call call = turned(gemm, c);
        gemm_run(pool, &call, cursor);
        for (size_t i = 0; i < gemm->m; i++)
            for (size_t j = 0; j < gemm->n; j++) {
                float *to = gemm->c + i * gemm->ldc + j;
                *to = gemm->alpha * c[j * gemm->m + i] + (gemm->beta == 0 ? 0 : gemm->beta * *to);
            }
        return;
    }
    gemm_call call = call_for(gemm);
#if defined(__x86_64__)
    if (gemm_few_columns_fits(&call)) {
        gemm_few_columns(pool, &call, scratch);
        return;
    }
#endif
    gemm_run(pool, &call, scratch);
}

size_t mk_gemm_batched_scratch_bytes(const mk_gemm *gemm, size_t threads) {
    return threads * mk_align_up(mk_gemm_scratch_bytes(gemm, 1)) + MK_ALIGN;
}

struct batch {
    const mk_gemm *gemm;
    size_t stride_a, stride_b, stride_c, scratch_bytes;
    uint8_t *scratch;
};

static void multiply_one(void *arg, size_t index, size_t thread) {
    const struct batch *batch = arg;
    mk_gemm one = *batch->gemm;
    one.a += index * batch->stride_a;
    one.b += index * batch->stride_b;
    one.c += index * batch->stride_c;
    mk_gemm_f32(NULL, &one, batch->scratch + thread * batch->scratch_bytes);
}

void mk_gemm_batched(const mk_pool *pool, const mk_gemm *gemm, size_t count, size_t stride_a, size_t stride_b,
                     size_t stride_c, void *scratch) {
    // Few large products share their scratch and use the pool inside; the count and shape alone decide.
    if (count < 4 && gemm->m * gemm->n * gemm->k > ((size_t)1 << 22)) {
        for (size_t i = 0; i < count; i++) {
            mk_gemm one = *gemm;
            one.a += i * stride_a;
            one.b += i * stride_b;
            one.c += i * stride_c;
            mk_gemm_f32(pool, &one, scratch);
        }
        return;
    }
    uint8_t *cursor = scratch;
    size_t bytes = mk_align_up(mk_gemm_scratch_bytes(gemm, 1));
    struct batch batch = {gemm, stride_a, stride_b, stride_c, bytes, mk_take(&cursor, 0)};
    mk_parallel(pool, count, multiply_one, &batch);
}
