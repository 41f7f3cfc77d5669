// y = x wᵀ + bias and dx = dy w: which path a call takes.
#include "linear_int8.h"
#include "linear_internal.h"

bool mk_int8_supported(const mk_weight *weight) {
#if defined(__x86_64__)
    return weight->repacked && mk_current_level() >= MK_LEVEL_AVX512_DOT && int8_format_of(weight);
#else
    (void)weight;
    return false;
#endif
}

#if defined(__x86_64__)
static bool uses_int8(const mk_weight *weight, mk_activation activation) {
    return activation == MK_ACTIVATION_INT8 && mk_int8_supported(weight);
}
#endif

// Repacked rows do not lie one after another.
static bool reads_rows(const mk_weight *weight, size_t tokens) { return tokens <= LINEAR_FEW_TOKENS && !weight->repacked; }

static const gemm_tile *tile_for(mk_activation activation) {
    return activation == MK_ACTIVATION_F32 ? gemm_tile_f32() : gemm_tile_bf16();
}

static gemm_call forward_call(const mk_weight *weight, size_t tokens, mk_activation activation) {
    return (gemm_call){.tile = tile_for(activation), .m = tokens, .n = weight->rows, .k = weight->columns,
                       .b = {.weight = weight}, .alpha = 1};
}

size_t mk_linear_scratch_bytes(const mk_weight *weight, size_t tokens, mk_activation activation, size_t threads) {
#if defined(__x86_64__)
    if (uses_int8(weight, activation)) return int8_scratch_bytes(weight, tokens, threads);
#endif
    if (reads_rows(weight, tokens)) return linear_rows_scratch_bytes(weight, tokens, activation, threads);
    gemm_call call = forward_call(weight, tokens, activation);
    return gemm_scratch_bytes(&call, threads);
}

void mk_linear(const mk_pool *pool, const float *x, size_t ldx, size_t tokens, const mk_weight *weight, const float *bias,
               mk_activation activation, float *y, size_t ldy, void *scratch) {
    if (tokens == 0 || weight->rows == 0) return;
#if defined(__x86_64__)
    if (uses_int8(weight, activation)) {
        int8_linear(pool, x, ldx, tokens, weight, bias, y, ldy, scratch);
        return;
    }
#endif
    if (reads_rows(weight, tokens)) {
        linear_rows(pool, x, ldx, tokens, weight, bias, activation, y, ldy, scratch);
        return;
    }
    gemm_call call = forward_call(weight, tokens, activation);
    call.a = (gemm_operand){.f32 = x, .ld = ldx};
    call.bias = bias;
    call.c = y;
    call.ldc = ldy;
    gemm_run(pool, &call, scratch);
}

static gemm_call backward_call(const mk_weight *weight, size_t tokens, mk_activation activation) {
    return (gemm_call){.tile = tile_for(activation), .m = tokens, .n = weight->columns, .k = weight->rows,
                       .b = {.weight = weight, .lane_contiguous = true}, .alpha = 1};
}

size_t mk_linear_backward_input_scratch_bytes(const mk_weight *weight, size_t tokens, mk_activation activation,
                                              size_t threads) {
    gemm_call call = backward_call(weight, tokens, activation);
    return gemm_scratch_bytes(&call, threads);
}

void mk_linear_backward_input(const mk_pool *pool, const float *dy, size_t lddy, size_t tokens, const mk_weight *weight,
                              mk_activation activation, float *dx, size_t lddx, void *scratch) {
    if (tokens == 0) return;
    gemm_call call = backward_call(weight, tokens, activation);
    call.a = (gemm_operand){.f32 = dy, .ld = lddy};
    call.c = dx;
    call.ldc = lddx;
    gemm_run(pool, &call, scratch);
}
