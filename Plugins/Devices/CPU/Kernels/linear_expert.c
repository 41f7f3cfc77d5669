// Products where each row has its expert: rows of one expert are brought together, multiplied as one, and put back.
#include "linear_internal.h"

mk_weight mk_weight_rows(const mk_weight *weight, size_t first, size_t rows) {
    mk_weight part = *weight;
    part.rows = rows;
    if (weight->repacked)
        part.data = (const uint8_t *)weight->data + mk_repacked_bytes(&(mk_weight){.layout = weight->layout, .bits = weight->bits, .rows = first, .columns = weight->columns, .group = weight->group});
    else
        part.data = (const uint8_t *)weight->data + first * weight->row_bytes;
    if (weight->group == 0 || weight->repacked) return part;
    size_t scale_rows = weight->layout == MK_LAYOUT_FP8_E4M3 ? first / weight->group_rows : first;
    size_t skipped = scale_rows * mk_ceil_div(weight->columns, weight->group) * (weight->scale_type == MK_SCALE_F32 ? 4 : 2);
    if (weight->scales) part.scales = (const uint8_t *)weight->scales + skipped;
    if (weight->zeros) part.zeros = (const uint8_t *)weight->zeros + skipped;
    return part;
}

// MARK: Grouping

typedef struct grouping {
    size_t *first;  // [experts + 1]: where an expert's rows begin in `order`
    size_t *order;  // [rows]: rows by expert
    float *in, *out;
    void *rest;
} grouping;

static size_t grouping_bytes(const mk_routing *routing, size_t in_width, size_t out_width) {
    return MK_ALIGN + mk_align_up((routing->experts + 1) * sizeof(size_t)) + mk_align_up(routing->rows * sizeof(size_t)) +
           mk_align_up(routing->rows * in_width * sizeof(float)) + mk_align_up(routing->rows * out_width * sizeof(float));
}

static bool routed(const mk_routing *routing, size_t row) {
    return routing->expert[row] >= 0 && (size_t)routing->expert[row] < routing->experts;
}

// A counting sort, so rows of an expert keep their order.
static grouping group(const mk_routing *routing, size_t in_width, size_t out_width, void *scratch) {
    uint8_t *cursor = scratch;
    grouping to = {.first = mk_take(&cursor, mk_align_up((routing->experts + 1) * sizeof(size_t)))};
    to.order = mk_take(&cursor, mk_align_up(routing->rows * sizeof(size_t)));
    to.in = mk_take(&cursor, mk_align_up(routing->rows * in_width * sizeof(float)));
    to.out = mk_take(&cursor, mk_align_up(routing->rows * out_width * sizeof(float)));
    to.rest = cursor;
    memset(to.first, 0, (routing->experts + 1) * sizeof(size_t));
    for (size_t r = 0; r < routing->rows; r++)
        if (routed(routing, r)) to.first[routing->expert[r] + 1]++;
    for (size_t e = 0; e < routing->experts; e++) to.first[e + 1] += to.first[e];
    // Filling moves each expert's mark to the next one's start; shifting them back restores it.
    for (size_t r = 0; r < routing->rows; r++)
        if (routed(routing, r)) to.order[to.first[routing->expert[r]]++] = r;
    for (size_t e = routing->experts; e > 0; e--) to.first[e] = to.first[e - 1];
    to.first[0] = 0;
    return to;
}

struct move {
    const grouping *grouping;
    float *rows, *grouped;
    size_t ld, width;
};

static void gather_row(void *arg, size_t index, size_t thread) {
    (void)thread;
    const struct move *move = arg;
    memcpy(move->grouped + index * move->width, move->rows + move->grouping->order[index] * move->ld, move->width * sizeof(float));
}

static void scatter_row(void *arg, size_t index, size_t thread) {
    (void)thread;
    const struct move *move = arg;
    memcpy(move->rows + move->grouping->order[index] * move->ld, move->grouped + index * move->width, move->width * sizeof(float));
}

static void gather(const mk_pool *pool, const grouping *from, size_t count, const float *rows, size_t ld, size_t width, float *to) {
    struct move move = {from, (float *)(uintptr_t)rows, to, ld, width};
    mk_parallel(pool, count, gather_row, &move);
}

static void scatter(const mk_pool *pool, const grouping *to, const mk_routing *routing, size_t width, float *rows, size_t ld) {
    struct move move = {to, rows, to->out, ld, width};
    for (size_t r = 0; r < routing->rows; r++)
        if (!routed(routing, r)) memset(rows + r * ld, 0, width * sizeof(float));
    mk_parallel(pool, to->first[routing->experts], scatter_row, &move);
}

// MARK: Products

// The number of rows an expert gets is known only when it runs; the paths differ at small numbers.
static size_t largest(size_t (*bytes)(const mk_weight *, size_t, mk_activation, size_t), const mk_weight *weight, size_t rows,
                      mk_activation activation, size_t threads) {
    size_t most = bytes(weight, rows, activation, threads);
    for (size_t few = 1; few <= mk_min(rows, LINEAR_FEW_TOKENS + 1); few++)
        most = mk_max(most, bytes(weight, few, activation, threads));
    return most;
}

static mk_weight expert_weight(const mk_routing *routing, const mk_weight *weight, size_t e) {
    size_t n = routing->experts ? weight->rows / routing->experts : 0;
    return mk_weight_rows(weight, e * n, n);
}

size_t mk_expert_linear_scratch_bytes(const mk_routing *routing, const mk_weight *weight, mk_activation activation, size_t threads) {
    mk_weight one = expert_weight(routing, weight, 0);
    return grouping_bytes(routing, weight->columns, one.rows) +
           largest(mk_linear_scratch_bytes, &one, routing->rows, activation, threads);
}

void mk_expert_linear(const mk_pool *pool, const float *x, size_t ldx, const mk_routing *routing, const mk_weight *weight,
                      const float *bias, mk_activation activation, float *y, size_t ldy, void *scratch) {
    size_t k = weight->columns, n = expert_weight(routing, weight, 0).rows;
    grouping groups = group(routing, k, n, scratch);
    gather(pool, &groups, groups.first[routing->experts], x, ldx, k, groups.in);
    for (size_t e = 0; e < routing->experts; e++) {
        size_t first = groups.first[e], rows = groups.first[e + 1] - first;
        if (rows == 0) continue;
        mk_weight one = expert_weight(routing, weight, e);
        mk_linear(pool, groups.in + first * k, k, rows, &one, bias ? bias + e * n : NULL, activation, groups.out + first * n, n,
                  groups.rest);
    }
    scatter(pool, &groups, routing, n, y, ldy);
}

static size_t backward_input_scratch_bytes(const mk_weight *weight, size_t tokens, mk_activation activation, size_t threads) {
    return mk_linear_backward_input_scratch_bytes(weight, tokens, activation, 0, threads);
}

size_t mk_expert_linear_backward_input_scratch_bytes(const mk_routing *routing, const mk_weight *weight, mk_activation activation,
                                                     size_t threads) {
    mk_weight one = expert_weight(routing, weight, 0);
    return grouping_bytes(routing, one.rows, weight->columns) +
           largest(backward_input_scratch_bytes, &one, routing->rows, activation, threads);
}

void mk_expert_linear_backward_input(const mk_pool *pool, const float *dy, size_t lddy, const mk_routing *routing,
                                     const mk_weight *weight, mk_activation activation, float *dx, size_t lddx, void *scratch) {
    size_t k = weight->columns, n = expert_weight(routing, weight, 0).rows;
    grouping groups = group(routing, n, k, scratch);
    gather(pool, &groups, groups.first[routing->experts], dy, lddy, n, groups.in);
    for (size_t e = 0; e < routing->experts; e++) {
        size_t first = groups.first[e], rows = groups.first[e + 1] - first;
        if (rows == 0) continue;
        mk_weight one = expert_weight(routing, weight, e);
        mk_linear_backward_input(pool, groups.in + first * n, n, rows, &one, NULL, activation, false, groups.out + first * k, k, groups.rest);
    }
    scatter(pool, &groups, routing, k, dx, lddx);
}

static mk_gemm outer(size_t rows, size_t n, size_t k, mk_activation factors) {
    return (mk_gemm){.transpose_a = true, .m = n, .n = k, .k = rows, .alpha = 1, .lda = n, .ldb = k, .ldc = k, .factors = factors};
}

size_t mk_expert_outer_scratch_bytes(const mk_routing *routing, size_t n, size_t k, mk_activation factors, size_t threads) {
    mk_gemm all = outer(routing->rows, n, k, factors);
    return grouping_bytes(routing, n, k) + mk_gemm_scratch_bytes(&all, threads);
}

void mk_expert_outer(const mk_pool *pool, const float *dy, size_t lddy, size_t n, const float *x, size_t ldx, size_t k,
                     const mk_routing *routing, float beta, mk_activation factors, float *dw, void *scratch) {
    grouping groups = group(routing, n, k, scratch);
    size_t count = groups.first[routing->experts];
    gather(pool, &groups, count, dy, lddy, n, groups.in);
    gather(pool, &groups, count, x, ldx, k, groups.out);
    for (size_t e = 0; e < routing->experts; e++) {
        size_t first = groups.first[e];
        mk_gemm product = outer(groups.first[e + 1] - first, n, k, factors);
        product.a = groups.in + first * n;
        product.b = groups.out + first * k;
        product.beta = beta;
        product.c = dw + e * n * k;
        mk_gemm_f32(pool, &product, groups.rest);
    }
}
