// The loops of the integer products.
#include "linear_int8.h"

#if defined(__x86_64__)

enum { panel_rows = 32 };

#define FEW_TASKS ((size_t)8)
// Panels of a task: those after the first meet a piece of the activations in L2.
#define TASK_PANELS ((size_t)4)
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

// Activations lie piece by piece: INT8_DEPTH columns of all tiles, then the next columns, so that a task reads them in one stream.
static size_t piece_bytes(int8_kind kind, size_t columns) { return int8_tile_bytes(kind, mk_min(columns, INT8_DEPTH), INT8_TILE); }

static size_t rounded_bytes(int8_kind kind, size_t columns, size_t tokens) {
    return mk_ceil_div(columns, INT8_DEPTH) * mk_ceil_div(mk_min(tokens, TOKEN_CHUNK), INT8_TILE) * piece_bytes(kind, columns);
}

size_t int8_scratch_bytes(const mk_weight *weight, size_t tokens, size_t threads) {
    int8_kind kind = int8_format_of(weight)->kind;
    return MK_ALIGN + rounded_bytes(kind, weight->columns, tokens) + threads * panel_bytes(kind, weight->columns);
}

struct run {
    const int8_format *format;
    const mk_weight *weight;
    const float *x, *bias;
    size_t ldx, tokens, tiles;
    float *y;
    size_t ldy;
    uint8_t *pieces, *panels;
    size_t piece_bytes, panel_bytes;
    size_t row_tasks;
    size_t token_split, token_tasks;   // of a task
};

static int8_tile piece(const struct run *run, size_t column, size_t tile) {
    size_t columns = mk_min(INT8_DEPTH, run->weight->columns - column);
    return int8_tile_at(run->pieces + (column / INT8_DEPTH * run->tiles + tile) * run->piece_bytes, columns, INT8_TILE);
}

static void round_tile(void *arg, size_t index, size_t thread) {
    (void)thread;
    const struct run *run = arg;
    size_t first = index * INT8_TILE, columns = run->weight->columns;
    for (size_t column = 0; column < columns; column += INT8_DEPTH) {
        int8_tile tile = piece(run, column, index);
        const float *x = run->x + first * run->ldx + column;
        int8_round(x, run->ldx, mk_min(INT8_TILE, run->tokens - first), mk_min(INT8_DEPTH, columns - column), run->format->kind,
                   run->format->offset, &tile);
    }
}

// One panel over INT8_DEPTH columns from `column` on, and its products with the task's tokens.
static void multiply_panel(const struct run *run, size_t row, size_t column, size_t first, size_t last, uint8_t *codes) {
    const mk_weight *weight = run->weight;
    int8_kind kind = run->format->kind;
    size_t rows = mk_min(panel_rows, weight->rows - row), count = mk_min(INT8_DEPTH, weight->columns - column) / 32;
    float *scales = (float *)(void *)(codes + mk_align_up(panel_codes_bytes(weight->columns)));
    float *minima = scales + mk_align_up(panel_scales_bytes(kind, weight->columns)) / sizeof(float);
    int8_panel panel = {codes, scales, minima};
    for (size_t g = 0; g * 16 < rows; g++)
        run->format->unpack(layout_group(weight, row + g * 16), int8_shape_of(weight), column / 32, count, 128, codes + g * 64,
                            scales + g * 16, minima + g * 16);
    for (size_t t = first; t < last; t += INT8_TILE) {
        int8_tile x = piece(run, column, t / INT8_TILE);
        int8_kernel(kind, count, &x, &panel, run->y + t * run->ldy + row, run->ldy, mk_min(INT8_TILE, last - t), rows, column > 0,
                    run->bias ? run->bias + row : NULL);
    }
}

static void multiply(void *arg, size_t index, size_t thread) {
    const struct run *run = arg;
    size_t panels = mk_ceil_div(run->weight->rows, panel_rows), task = index / run->token_tasks;
    size_t begin = panels * task / run->row_tasks, end = panels * (task + 1) / run->row_tasks;
    size_t first = index % run->token_tasks * run->token_split, last = mk_min(first + run->token_split, run->tokens);
    for (size_t column = 0; column < run->weight->columns; column += INT8_DEPTH)
        for (size_t p = begin; p < end; p++)
            multiply_panel(run, p * panel_rows, column, first, last, run->panels + thread * run->panel_bytes);
}

void int8_linear(const mk_pool *pool, const float *x, size_t ldx, size_t tokens, const mk_weight *weight, const float *bias, float *y,
                 size_t ldy, void *scratch) {
    const int8_format *format = int8_format_of(weight);
    size_t panels = mk_ceil_div(weight->rows, panel_rows);
    struct run run = {.format = format, .weight = weight, .bias = bias, .ldx = ldx, .ldy = ldy,
                      .piece_bytes = piece_bytes(format->kind, weight->columns), .panel_bytes = panel_bytes(format->kind, weight->columns)};
    // An even number of tasks of whole groups where there are enough panels for it.
    run.row_tasks = panels <= FEW_TASKS ? panels : mk_max(FEW_TASKS, mk_ceil_div(mk_ceil_div(panels, TASK_PANELS), 2) * 2);
    uint8_t *cursor = scratch;
    run.pieces = mk_take(&cursor, rounded_bytes(format->kind, weight->columns, tokens));
    run.panels = cursor;
    for (size_t done = 0; done < tokens; done += TOKEN_CHUNK) {
        run.tokens = mk_min(TOKEN_CHUNK, tokens - done);
        run.tiles = mk_ceil_div(run.tokens, INT8_TILE);
        run.x = x + done * ldx;
        run.y = y + done * ldy;
        size_t cuts = mk_ceil_div(FEW_TASKS, panels);
        run.token_split = mk_max(mk_ceil_div(run.tiles, cuts), mk_min(4, run.tiles)) * INT8_TILE;
        run.token_tasks = mk_ceil_div(run.tokens, run.token_split);
        mk_parallel(pool, run.tiles, round_tile, &run);
        mk_parallel(pool, run.row_tasks * run.token_tasks, multiply, &run);
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
