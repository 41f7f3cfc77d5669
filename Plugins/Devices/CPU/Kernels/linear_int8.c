// The loops of the integer products.
#include "linear_int8.h"

#if defined(__x86_64__)

enum { panel_rows = 32 };

#define FEW_TASKS ((size_t)8)
// Tokens rounded at a time; a multiple of INT8_TILE.
#define TOKEN_CHUNK ((size_t)1020)

// A thread's panel: codes, then scales, then minima.
static size_t panel_codes_bytes(size_t columns) { return mk_min(columns, INT8_DEPTH) * panel_rows; }
static size_t panel_scales_bytes(int8_kind kind, size_t columns) {
    return int8_sums(kind, mk_min(columns, INT8_DEPTH)) * panel_rows * sizeof(float);
}
static size_t panel_bytes(int8_kind kind, size_t columns) {
    size_t minima = int8_has_minimum(kind) ? panel_scales_bytes(kind, columns) : 0;
    return mk_align_up(panel_codes_bytes(columns)) + mk_align_up(panel_scales_bytes(kind, columns)) + mk_align_up(minima);
}

size_t int8_scratch_bytes(const mk_weight *weight, size_t tokens, size_t threads) {
    int8_kind kind = int8_format_of(weight)->kind;
    const size_t width = INT8_TILE, tiles = mk_ceil_div(mk_min(tokens, TOKEN_CHUNK), width);
    return MK_ALIGN + tiles * int8_tile_bytes(kind, weight->columns, width) + threads * panel_bytes(kind, weight->columns);
}

struct run {
    const int8_format *format;
    const mk_weight *weight;
    const float *x, *bias;
    size_t ldx, tokens, width;
    float *y;
    size_t ldy;
    uint8_t *tiles, *panels;
    size_t tile_bytes, panel_bytes;
    size_t token_split, token_tasks;   // of a task
};

static int8_tile run_tile(const struct run *run, size_t index) {
    return int8_tile_at(run->tiles + index * run->tile_bytes, run->weight->columns, run->width);
}

static void round_tile(void *arg, size_t index, size_t thread) {
    (void)thread;
    const struct run *run = arg;
    size_t first = index * run->width;
    int8_tile tile = run_tile(run, index);
    int8_round(run->x + first * run->ldx, run->ldx, mk_min(run->width, run->tokens - first), run->weight->columns,
               run->format->kind, run->format->offset, &tile);
}

static void multiply(void *arg, size_t index, size_t thread) {
    const struct run *run = arg;
    const mk_weight *weight = run->weight;
    int8_kind kind = run->format->kind;
    size_t row = index / run->token_tasks * panel_rows, rows = mk_min(panel_rows, weight->rows - row);
    size_t first = index % run->token_tasks * run->token_split, last = mk_min(first + run->token_split, run->tokens);
    size_t blocks = weight->columns / 32, halves = int8_halves(kind);
    uint8_t *codes = run->panels + thread * run->panel_bytes;
    float *scales = (float *)(void *)(codes + mk_align_up(panel_codes_bytes(weight->columns)));
    float *minima = scales + mk_align_up(panel_scales_bytes(kind, weight->columns)) / sizeof(float);
    int8_panel panel = {codes, scales, minima};
    for (size_t b = 0; b < blocks; b += INT8_DEPTH / 32) {
        size_t count = mk_min(INT8_DEPTH / 32, blocks - b);
        for (size_t g = 0; g * 16 < rows; g++)
            run->format->unpack(layout_group(weight, row + g * 16), int8_shape_of(weight), b, count, 128, codes + g * 64, scales + g * 16,
                                minima + g * 16);
        for (size_t t = first; t < last; t += INT8_TILE) {
            int8_tile x = run_tile(run, t / INT8_TILE);
            x.codes += b * 8 * INT8_TILE;
            x.scales += b * INT8_TILE;
            x.sums += b * halves * INT8_TILE;
            int8_kernel(kind, count, &x, &panel, run->y + t * run->ldy + row, run->ldy, mk_min(INT8_TILE, last - t), rows, b > 0,
                        run->bias ? run->bias + row : NULL);
        }
    }
}

void int8_linear(const mk_pool *pool, const float *x, size_t ldx, size_t tokens, const mk_weight *weight, const float *bias, float *y,
                 size_t ldy, void *scratch) {
    const int8_format *format = int8_format_of(weight);
    uint8_t *cursor = scratch;
    struct run run = {.format = format, .weight = weight, .x = x, .bias = bias, .ldx = ldx, .width = INT8_TILE, .y = y,
                      .ldy = ldy, .tile_bytes = int8_tile_bytes(format->kind, weight->columns, INT8_TILE),
                      .panel_bytes = panel_bytes(format->kind, weight->columns)};
    run.tiles = mk_take(&cursor, mk_ceil_div(mk_min(tokens, TOKEN_CHUNK), run.width) * run.tile_bytes);
    run.panels = cursor;
    size_t panels = mk_ceil_div(weight->rows, panel_rows);
    for (size_t done = 0; done < tokens; done += TOKEN_CHUNK) {
        run.tokens = mk_min(TOKEN_CHUNK, tokens - done);
        run.x = x + done * ldx;
        run.y = y + done * ldy;
        size_t tiles = mk_ceil_div(run.tokens, INT8_TILE), cuts = mk_ceil_div(FEW_TASKS, panels);
        run.token_split = mk_max(mk_ceil_div(tiles, cuts), mk_min(4, tiles)) * INT8_TILE;
        run.token_tasks = mk_ceil_div(run.tokens, run.token_split);
        mk_parallel(pool, tiles, round_tile, &run);
        mk_parallel(pool, panels * run.token_tasks, multiply, &run);
    }
}

#endif

// MARK: Exact values of repacked weights

void layout_unpack_groups(const mk_weight *weight, size_t row, size_t rows, size_t first, size_t columns, float *to, size_t ld) {
#if defined(__x86_64__)
    if (mk_current_level() >= MK_LEVEL_AVX512_DOT) {
        const int8_format *format = int8_format_of(weight);
        for (size_t r = 0; r < rows; r += 16)
            format->to_f32(layout_group(weight, row + r), int8_shape_of(weight), first / 32, columns / 32, to + r, ld);
        return;
    }
#endif
    float values[256];
    size_t block = mk_max(32, mk_block_columns(weight->layout));
    for (size_t r = 0; r < (rows + 15) / 16 * 16; r++)
        for (size_t c = 0; c < columns; c += block) {
            memset(values, 0, sizeof values);
            if (row + r < weight->rows) layout_read_repacked(weight, row + r, first + c, block, values);
            for (size_t i = 0; i < block; i++) to[(c + i) * ld + r] = values[i];
        }
}
