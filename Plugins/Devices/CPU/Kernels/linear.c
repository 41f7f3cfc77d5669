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

static bool uses_int8(const mk_weight *weight, mk_activation activation) {
    return activation == MK_ACTIVATION_INT8 && mk_int8_supported(weight);
}

// Repacked rows do not lie one after another.
static bool reads_rows(const mk_weight *weight, size_t tokens) { return tokens <= LINEAR_FEW_TOKENS && !weight->repacked; }

static const gemm_tile *tile_for(mk_activation activation) {
    return activation == MK_ACTIVATION_F32 ? gemm_tile_f32() : gemm_tile_bf16();
}

static gemm_call forward_call(const mk_weight *weight, size_t tokens, mk_activation activation) {
    return (gemm_call){.tile = tile_for(activation), .m = tokens, .n = weight->rows, .k = weight->columns,
                       .b = {.weight = weight}, .alpha = 1};
}

// Whether few tokens meet all parts in one loop: the parts' forms tell, whatever their data.
static bool run_together(const mk_linear_part *parts, size_t count, size_t tokens, mk_activation activation) {
    if (count > MK_LINEAR_PARTS) return false;
    bool int8 = tokens <= INT8_STREAM_TOKENS, rows = true;
    for (size_t i = 0; i < count; i++) {
        if (!uses_int8(parts[i].weight, activation)) int8 = false;
        if (!reads_rows(parts[i].weight, tokens) || parts[i].weight->layout != parts[0].weight->layout ||
            linear_codebook_fits(parts[i].weight) != linear_codebook_fits(parts[0].weight))
            rows = false;
    }
    return int8 || rows;
}

#if defined(__x86_64__)
static bool few_int8(const mk_weight *weight, size_t tokens, mk_activation activation) {
    return tokens <= INT8_STREAM_TOKENS && uses_int8(weight, activation);
}
#endif

size_t mk_linear_parts_scratch_bytes(const mk_linear_part *parts, size_t count, size_t tokens, mk_activation activation, size_t threads) {
    size_t most = 0;
    if (!run_together(parts, count, tokens, activation)) {
        for (size_t i = 0; i < count; i++)
            most = mk_max(most, mk_linear_scratch_bytes(parts[i].weight, tokens, activation, threads));
        return most;
    }
#if defined(__x86_64__)
    if (few_int8(parts[0].weight, tokens, activation)) return int8_few_scratch_bytes(parts, count, tokens);
#endif
    return linear_rows_scratch_bytes(parts[0].weight, tokens, activation, threads);
}

void mk_linear_parts(const mk_pool *pool, const float *x, size_t ldx, size_t tokens, const mk_linear_part *parts, size_t count,
                     mk_activation activation, void *scratch) {
    if (tokens == 0) return;
    if (!run_together(parts, count, tokens, activation)) {
        for (size_t i = 0; i < count; i++)
            mk_linear(pool, x, ldx, tokens, parts[i].weight, parts[i].bias, activation, parts[i].y, parts[i].ldy, scratch);
        return;
    }
#if defined(__x86_64__)
    if (few_int8(parts[0].weight, tokens, activation)) {
        int8_few(pool, x, ldx, tokens, parts, count, scratch);
        return;
    }
#endif
    linear_rows(pool, x, ldx, tokens, parts, count, activation, scratch);
}

static bool goes_through_tiles(const mk_weight *weight, size_t tokens, mk_activation activation) {
    return !uses_int8(weight, activation) && !reads_rows(weight, tokens);
}

// low upᵀ or low up by itself, added to y.
static mk_gemm low_rank_gemm(const mk_low_rank *low, size_t tokens, size_t columns, mk_activation activation, float *y, size_t ldy) {
    return (mk_gemm){.transpose_b = !low->is_along_columns, .m = tokens, .n = columns, .k = low->rank, .alpha = 1, .a = low->low,
                     .lda = low->rank, .b = low->up, .ldb = low->is_along_columns ? columns : low->rank, .beta = 1, .c = y, .ldc = ldy,
                     .factors = activation == MK_ACTIVATION_F32 ? MK_ACTIVATION_F32 : MK_ACTIVATION_BF16};
}

static void add_low_rank(gemm_call *call, const mk_low_rank *low) {
    if (!low) return;
    call->more_k = low->rank;
    call->more_a = (gemm_operand){.f32 = low->low, .ld = low->rank};
    call->more_b = (gemm_operand){.f32 = low->up, .ld = low->is_along_columns ? call->n : low->rank, .lane_contiguous = low->is_along_columns};
}

size_t mk_linear_low_rank_scratch_bytes(const mk_weight *weight, size_t tokens, mk_activation activation, size_t rank, size_t threads) {
    if (goes_through_tiles(weight, tokens, activation)) {
        gemm_call call = forward_call(weight, tokens, activation);
        call.more_k = rank;
        return gemm_scratch_bytes(&call, threads);
    }
    mk_low_rank low = {.rank = rank};
    mk_gemm gemm = low_rank_gemm(&low, tokens, weight->rows, activation, NULL, weight->rows);
    return mk_max(mk_linear_scratch_bytes(weight, tokens, activation, threads), mk_gemm_scratch_bytes(&gemm, threads));
}

void mk_linear_low_rank(const mk_pool *pool, const float *x, size_t ldx, size_t tokens, const mk_weight *weight, const float *bias,
                        const mk_low_rank *low, mk_activation activation, float *y, size_t ldy, void *scratch) {
    if (tokens == 0 || weight->rows == 0) return;
    if (!goes_through_tiles(weight, tokens, activation)) {
        mk_linear(pool, x, ldx, tokens, weight, bias, activation, y, ldy, scratch);
        mk_gemm gemm = low_rank_gemm(low, tokens, weight->rows, activation, y, ldy);
        mk_gemm_f32(pool, &gemm, scratch);
        return;
    }
    gemm_call call = forward_call(weight, tokens, activation);
    call.a = (gemm_operand){.f32 = x, .ld = ldx};
    call.bias = bias;
    call.c = y;
    call.ldc = ldy;
    add_low_rank(&call, low);
    gemm_run(pool, &call, scratch);
}

size_t mk_linear_scratch_bytes(const mk_weight *weight, size_t tokens, mk_activation activation, size_t threads) {
    mk_linear_part one = {.weight = weight};
    if (run_together(&one, 1, tokens, activation)) return mk_linear_parts_scratch_bytes(&one, 1, tokens, activation, threads);
#if defined(__x86_64__)
    if (uses_int8(weight, activation)) return int8_scratch_bytes(weight, tokens, threads);
#endif
    gemm_call call = forward_call(weight, tokens, activation);
    return gemm_scratch_bytes(&call, threads);
}

void mk_linear(const mk_pool *pool, const float *x, size_t ldx, size_t tokens, const mk_weight *weight, const float *bias,
               mk_activation activation, float *y, size_t ldy, void *scratch) {
    if (tokens == 0 || weight->rows == 0) return;
    mk_linear_part one = {weight, bias, y, ldy};
    if (run_together(&one, 1, tokens, activation)) {
        mk_linear_parts(pool, x, ldx, tokens, &one, 1, activation, scratch);
        return;
    }
#if defined(__x86_64__)
    if (uses_int8(weight, activation)) {
        int8_linear(pool, x, ldx, tokens, weight, bias, y, ldy, scratch);
        return;
    }
#endif
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
                                              size_t rank, size_t threads) {
    gemm_call call = backward_call(weight, tokens, activation);
    call.more_k = rank;
    return gemm_scratch_bytes(&call, threads);
}

void mk_linear_backward_input(const mk_pool *pool, const float *dy, size_t lddy, size_t tokens, const mk_weight *weight,
                              const mk_low_rank *low, mk_activation activation, bool accumulate, float *dx, size_t lddx, void *scratch) {
    if (tokens == 0) return;
    gemm_call call = backward_call(weight, tokens, activation);
    call.beta = accumulate;
    add_low_rank(&call, low);
    call.a = (gemm_operand){.f32 = dy, .ld = lddy};
    call.c = dx;
    call.ldc = lddx;
    gemm_run(pool, &call, scratch);
}
