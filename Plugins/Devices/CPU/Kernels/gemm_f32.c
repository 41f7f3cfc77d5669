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

size_t mk_gemm_scratch_bytes(const mk_gemm *gemm, size_t threads) {
    gemm_call call = call_for(gemm);
    return gemm_scratch_bytes(&call, threads);
}

void mk_gemm_f32(const mk_pool *pool, const mk_gemm *gemm, void *scratch) {
    gemm_call call = call_for(gemm);
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
