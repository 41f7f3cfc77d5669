// The loops around the micro-kernel. A is packed once for all tasks; each task packs its own columns of B, block of depths by block.
// Task bounds follow from the shapes, and each element of C is summed by one task in one order.
#include "gemm_internal.h"

#include "layout_internal.h"

// Rows of C done together. A multiple of every tile's mr; bounds the packed copy of A, and B is packed again for each chunk.
#define ROW_CHUNK ((size_t)1020)
#define FEW_TASKS ((size_t)8)
// Depths unpacked at once from weights whose rows lie along the depths.
#define SLAB ((size_t)32)

const gemm_tile *gemm_tile_f32(void) {
#if defined(__x86_64__)
    mk_level level = mk_current_level();
    if (level >= MK_LEVEL_AVX512) return &gemm_avx512_f32;
    if (level >= MK_LEVEL_AVX2) return &gemm_avx2_f32;
#endif
    return &gemm_portable_f32;
}

const gemm_tile *gemm_tile_bf16(void) {
#if defined(__x86_64__)
    if (mk_current_level() >= MK_LEVEL_AVX512_DOT) return &gemm_avx512_bf16;
#endif
    return gemm_tile_f32();
}

// Columns of C in a task. A weight whose columns are C's is unpacked in whole blocks.
static size_t task_columns(const gemm_call *call) {
    const gemm_operand *b = &call->b;
    size_t columns = 64;
    // Where neighbours in memory are columns, longer pieces of many rows reach memory better than short ones.
    if (b->lane_contiguous && call->n >= 1024) columns = 128;
    if (b->lane_contiguous && call->n >= 4096) columns = 256;
    if (b->weight && b->lane_contiguous) {
        size_t block = layout_block(b->weight);
        if (columns % block) columns = block > columns ? block : mk_ceil_div(columns, block) * block;
    }
    return columns;
}

static size_t chunk_rows(const gemm_call *call) { return mk_min(call->m, ROW_CHUNK); }

// Packed steps of all depths of `call`'s two products.
static size_t all_steps(const gemm_call *call) {
    return mk_ceil_div(call->k, call->tile->pair) + mk_ceil_div(call->more_k, call->tile->pair);
}

// Bytes of A packed: all panels of a chunk, over all depths.
static size_t packed_a_bytes(const gemm_call *call) {
    const gemm_tile *tile = call->tile;
    return mk_ceil_div(chunk_rows(call), tile->mr) * tile->mr * all_steps(call) * tile->lane_bytes;
}

static size_t packed_b_bytes(const gemm_call *call) {
    const gemm_tile *tile = call->tile;
    size_t columns = mk_ceil_div(task_columns(call), tile->nr) * tile->nr;
    size_t depth = mk_min(tile->depth, call->k);
    return columns * (mk_ceil_div(depth, tile->pair) + mk_ceil_div(call->more_k, tile->pair)) * tile->lane_bytes;
}

// Rows of a weight turned to f32 on their way into B.
static size_t unpacked_bytes(const gemm_call *call) {
    if (!call->b.weight) return 0;
    size_t across = mk_max(call->tile->nr, 32) * call->tile->depth, along = SLAB * task_columns(call);
    return (call->b.lane_contiguous ? along : across) * sizeof(float);
}

size_t gemm_scratch_bytes(const gemm_call *call, size_t threads) {
    size_t each = mk_align_up(packed_b_bytes(call)) + mk_align_up(unpacked_bytes(call));
    return MK_ALIGN + mk_align_up(packed_a_bytes(call)) + threads * each;
}

struct run {
    const gemm_call *call;
    size_t first_row, rows;  // this chunk
    size_t columns;          // of a task
    size_t row_split;        // rows of a task
    size_t row_tasks;
    uint8_t *a, *threads;
    size_t thread_bytes, b_bytes;
};

static void pack_f32(const gemm_tile *tile, const gemm_operand *from, size_t lane, size_t lanes, size_t k0, size_t k,
                     size_t width, void *to) {
    if (from->lane_contiguous)
        tile->pack_lane(from->f32 + k0 * from->ld + lane, from->ld, lanes, k, width, to);
    else
        tile->pack_k(from->f32 + lane * from->ld + k0, from->ld, lanes, k, width, to);
}

// Where a panel's depths from k0 on lie in packed A: block of depths by block, panels one after another, so that a task reads one stream.
// The second product's depths are part of the last block.
static uint8_t *packed_a(const struct run *run, size_t panel, size_t k0, size_t steps) {
    const gemm_tile *tile = run->call->tile;
    return run->a + (mk_ceil_div(run->rows, tile->mr) * (k0 / tile->pair) + panel * steps) * tile->mr * tile->lane_bytes;
}

// One panel of A over all depths.
static void pack_a(void *arg, size_t index, size_t thread) {
    (void)thread;
    struct run *run = arg;
    const gemm_call *call = run->call;
    const gemm_tile *tile = call->tile;
    size_t row = index * tile->mr, lanes = mk_min(tile->mr, run->rows - row);
    for (size_t k0 = 0; k0 < call->k; k0 += tile->depth) {
        size_t k = mk_min(tile->depth, call->k - k0), steps = mk_ceil_div(k, tile->pair);
        size_t more = k0 + k == call->k ? mk_ceil_div(call->more_k, tile->pair) : 0;
        uint8_t *panel = packed_a(run, index, k0, steps + more);
        pack_f32(tile, &call->a, run->first_row + row, lanes, k0, k, tile->mr, panel);
        if (more)
            pack_f32(tile, &call->more_a, run->first_row + row, lanes, 0, call->more_k, tile->mr,
                     panel + tile->mr * steps * tile->lane_bytes);
    }
}

static void pack_weight_along_k(const gemm_call *call, size_t column, size_t columns, size_t k0, size_t k, float *rows,
                                uint8_t *to, size_t panel_bytes) {
    const gemm_tile *tile = call->tile;
    const mk_weight *weight = call->b.weight;
    for (size_t j = 0; j < columns; j += tile->nr, to += panel_bytes) {
        size_t row = call->b.first_row + column + j, lanes = mk_min(tile->nr, columns - j);
        if (weight->repacked && row % 16 == 0 && tile->nr <= 32) {
            layout_unpack_groups(weight, row, lanes, k0, k, rows, 32);
            tile->pack_lane(rows, 32, lanes, k, tile->nr, to);
        } else if (tile->pack_k_bf16 && weight->layout == MK_LAYOUT_BF16) {
            const uint8_t *source = (const uint8_t *)weight->data + row * weight->row_bytes;
            tile->pack_k_bf16((const uint16_t *)(const void *)source + k0, weight->row_bytes / 2, lanes, k, tile->nr, to);
        } else if (weight->layout == MK_LAYOUT_F32) {
            const uint8_t *source = (const uint8_t *)weight->data + row * weight->row_bytes;
            tile->pack_k((const float *)(const void *)source + k0, weight->row_bytes / 4, lanes, k, tile->nr, to);
        } else {
            layout_unpack(weight, row, lanes, k0, k, rows, tile->depth);
            tile->pack_k(rows, tile->depth, lanes, k, tile->nr, to);
        }
    }
}

static void pack_weight_along_lanes(const gemm_call *call, size_t column, size_t columns, size_t k0, size_t k,
                                    float *rows, uint8_t *to, size_t panel_bytes) {
    const gemm_tile *tile = call->tile;
    const mk_weight *weight = call->b.weight;
    bool bf16 = tile->pack_lane_bf16 && weight->layout == MK_LAYOUT_BF16, f32 = weight->layout == MK_LAYOUT_F32;
    for (size_t d = 0; d < k; d += SLAB) {
        size_t depths = mk_min(SLAB, k - d), row = call->b.first_row + k0 + d;
        const uint8_t *source = (const uint8_t *)weight->data + row * weight->row_bytes;
        bool groups = weight->repacked && row % 16 == 0;
        if (groups)
            layout_unpack_groups(weight, row, depths, column, columns, rows, SLAB);
        else if (!bf16 && !f32)
            layout_unpack(weight, row, depths, column, columns, rows, columns);
        for (size_t j = 0; j < columns; j += tile->nr) {
            uint8_t *panel = to + j / tile->nr * panel_bytes + d / tile->pair * tile->nr * tile->lane_bytes;
            size_t lanes = mk_min(tile->nr, columns - j);
            if (groups)
                tile->pack_k(rows + j * SLAB, SLAB, lanes, depths, tile->nr, panel);
            else if (bf16)
                tile->pack_lane_bf16((const uint16_t *)(const void *)source + column + j, weight->row_bytes / 2, lanes,
                                     depths, tile->nr, panel);
            else if (f32)
                tile->pack_lane((const float *)(const void *)source + column + j, weight->row_bytes / 4, lanes, depths,
                                tile->nr, panel);
            else
                tile->pack_lane(rows + j, columns, lanes, depths, tile->nr, panel);
        }
    }
}

// Panels of some columns over depths k0 ..< k0 + k, and over the second product's depths behind the last of them.
static void pack_b(const struct run *run, size_t column, size_t columns, size_t k0, size_t k, uint8_t *to, size_t panel_bytes,
                   float *rows) {
    const gemm_call *call = run->call;
    const gemm_tile *tile = call->tile;
    if (call->b.weight)
        (call->b.lane_contiguous ? pack_weight_along_lanes : pack_weight_along_k)(call, column, columns, k0, k, rows, to, panel_bytes);
    else
        for (size_t j = 0; j < columns; j += tile->nr)
            pack_f32(tile, &call->b, column + j, mk_min(tile->nr, columns - j), k0, k, tile->nr, to + j / tile->nr * panel_bytes);
    if (!call->more_k || k0 + k < call->k) return;
    uint8_t *more = to + tile->nr * mk_ceil_div(k, tile->pair) * tile->lane_bytes;
    for (size_t j = 0; j < columns; j += tile->nr)
        pack_f32(tile, &call->more_b, column + j, mk_min(tile->nr, columns - j), 0, call->more_k, tile->nr,
                 more + j / tile->nr * panel_bytes);
}

static void multiply(void *arg, size_t index, size_t thread) {
    struct run *run = arg;
    const gemm_call *call = run->call;
    const gemm_tile *tile = call->tile;
    size_t first = index % run->row_tasks * run->row_split, last = mk_min(first + run->row_split, run->rows);
    size_t column = index / run->row_tasks * run->columns, columns = mk_min(run->columns, call->n - column);
    uint8_t *b = run->threads + thread * run->thread_bytes;
    float *rows = (float *)(void *)(b + run->b_bytes);
    for (size_t k0 = 0; k0 < call->k; k0 += tile->depth) {
        size_t k = mk_min(tile->depth, call->k - k0), steps = mk_ceil_div(k, tile->pair);
        if (k0 + k == call->k) steps += mk_ceil_div(call->more_k, tile->pair);
        size_t panel_bytes = tile->nr * steps * tile->lane_bytes;
        float beta = k0 ? 1 : call->beta;
        pack_b(run, column, columns, k0, k, b, panel_bytes, rows);
        for (size_t i = first; i < last; i += tile->mr) {
            const uint8_t *a = packed_a(run, i / tile->mr, k0, steps);
            float *c = call->c + (run->first_row + i) * call->ldc + column;
            for (size_t j = 0; j < columns; j += tile->nr)
                tile->kernel(steps, a, b + j / tile->nr * panel_bytes, c + j, call->ldc, mk_min(tile->mr, last - i),
                             mk_min(tile->nr, columns - j), call->alpha, beta,
                             call->bias && k0 == 0 ? call->bias + column + j : NULL);
        }
    }
}

// No depths: C = beta C + bias.
static void scale_only(const gemm_call *call) {
    for (size_t i = 0; i < call->m; i++)
        for (size_t j = 0; j < call->n; j++) {
            float *c = call->c + i * call->ldc + j, before = call->beta == 0 ? 0 : call->beta * *c;
            *c = before + (call->bias ? call->bias[j] : 0);
        }
}

void gemm_run(const mk_pool *pool, const gemm_call *call, void *scratch) {
    if (call->m == 0 || call->n == 0) return;
    if (call->k == 0 && call->more_k) {
        gemm_call rest = *call;
        rest.k = call->more_k, rest.a = call->more_a, rest.b = call->more_b, rest.more_k = 0;
        gemm_run(pool, &rest, scratch);
        return;
    }
    if (call->k == 0) {
        scale_only(call);
        return;
    }
    const gemm_tile *tile = call->tile;
    uint8_t *cursor = scratch;
    struct run run = {.call = call, .columns = task_columns(call)};
    run.a = mk_take(&cursor, mk_align_up(packed_a_bytes(call)));
    run.b_bytes = mk_align_up(packed_b_bytes(call));
    run.thread_bytes = run.b_bytes + mk_align_up(unpacked_bytes(call));
    run.threads = mk_take(&cursor, mk_threads(pool) * run.thread_bytes);
    size_t column_tasks = mk_ceil_div(call->n, run.columns);
    for (run.first_row = 0; run.first_row < call->m; run.first_row += ROW_CHUNK) {
        run.rows = mk_min(ROW_CHUNK, call->m - run.first_row);
        size_t panels = mk_ceil_div(run.rows, tile->mr);
        // Few columns: cut the rows too, though each cut packs B again.
        size_t cuts = column_tasks >= FEW_TASKS ? 1 : mk_ceil_div(FEW_TASKS, column_tasks);
        run.row_split = mk_max(mk_ceil_div(panels, cuts), mk_min(4, panels)) * tile->mr;
        run.row_tasks = mk_ceil_div(run.rows, run.row_split);
        mk_parallel(pool, panels, pack_a, &run);
        mk_parallel(pool, column_tasks * run.row_tasks, multiply, &run);
    }
}
