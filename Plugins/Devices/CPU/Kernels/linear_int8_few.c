// Few tokens: the weight streams by once, its codes unpacked in registers, and meets all of them. Products of several weights with
// the same x are one loop, so that none of them waits for the last row of another.
#include "linear_int8.h"

#if defined(__x86_64__)

// What a task reads of a weight: long enough for a stream, short enough for threads to end together.
#define TASK_LEAST ((size_t)16 << 10)
#define TASK_MOST ((size_t)256 << 10)
#define FEW_TASKS ((size_t)64)
// Columns that one thread rounds at a time where there are several tokens.
#define ROUND_COLUMNS ((size_t)512)

static size_t tile_width(size_t tokens) { return tokens <= INT8_STREAM_WIDTH ? tokens : mk_ceil_div(tokens, 2); }

static size_t rounded_bytes(const mk_weight *weight, size_t tokens) {
    size_t width = mk_max(tile_width(tokens), 1);
    return mk_ceil_div(tokens, width) * int8_tile_bytes(int8_format_of(weight)->kind, weight->columns, width);
}

size_t int8_few_scratch_bytes(const mk_linear_part *parts, size_t count, size_t tokens) {
    size_t bytes = MK_ALIGN;
    for (size_t i = 0; i < count; i++) bytes += rounded_bytes(parts[i].weight, tokens);
    return bytes;
}

struct part {
    const int8_format *format;
    const mk_linear_part *call;
    uint8_t *tiles;
    size_t tile_bytes, group_bytes;
    size_t groups;      // of a task
    size_t first_task;
};

struct run {
    struct part parts[MK_LINEAR_PARTS];
    size_t count, columns, tokens, width;
    const float *x;
    size_t ldx;
};

static int8_tile part_tile(const struct run *run, const struct part *part, size_t index) {
    return int8_tile_at(part->tiles + index * part->tile_bytes, run->columns, run->width);
}

struct rounding {
    const struct run *run;
    const struct part *part;
};

static void round_columns(void *arg, size_t index, size_t thread) {
    (void)thread;
    const struct rounding *rounding = arg;
    const struct run *run = rounding->run;
    const int8_format *format = rounding->part->format;
    size_t cuts = mk_ceil_div(run->columns, ROUND_COLUMNS), tile_index = index / cuts, column = index % cuts * ROUND_COLUMNS;
    size_t token = tile_index * run->width, tokens = mk_min(run->width, run->tokens - token);
    int8_tile tile = part_tile(run, rounding->part, tile_index);
    tile.codes += column / 4 * run->width;
    tile.scales += column / 32 * run->width;
    tile.sums += int8_sums(format->kind, column) * run->width;
    int8_round(run->x + token * run->ldx + column, run->ldx, tokens, mk_min(ROUND_COLUMNS, run->columns - column), format->kind,
               format->offset, &tile);
}

// Rows 16 group … of y for all tokens of a tile.
MK_AVX512_DOT static void put_rows(const mk_linear_part *part, size_t row, size_t first, size_t tokens, const float *sums) {
    size_t left = part->weight->rows - row;
    __mmask16 mask = left >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << left) - 1u);
    __m512 bias = part->bias ? _mm512_maskz_loadu_ps(mask, part->bias + row) : _mm512_setzero_ps();
    for (size_t t = 0; t < tokens; t++)
        _mm512_mask_storeu_ps(part->y + (first + t) * part->ldy + row, mask, _mm512_add_ps(_mm512_loadu_ps(sums + t * 16), bias));
}

static void stream(void *arg, size_t index, size_t thread) {
    (void)thread;
    const struct run *run = arg;
    const struct part *part = run->parts;
    while (part + 1 < run->parts + run->count && index >= part[1].first_task) part++;
    const mk_weight *weight = part->call->weight;
    int8_shape shape = int8_shape_of(weight);
    size_t first = (index - part->first_task) * part->groups, last = mk_min(first + part->groups, mk_ceil_div(weight->rows, 16));
    const uint8_t *group = (const uint8_t *)weight->data + first * part->group_bytes;
    for (size_t g = first; g < last; g++, group += part->group_bytes)
        for (size_t done = 0; done < run->tokens; done += run->width) {
            float sums[INT8_STREAM_WIDTH * 16];
            size_t tokens = mk_min(run->width, run->tokens - done);
            int8_tile x = part_tile(run, part, done / run->width);
            part->format->decode[tokens - 1](group, shape, &x, sums);
            put_rows(part->call, 16 * g, done, tokens, sums);
        }
}

void int8_few(const mk_pool *pool, const float *x, size_t ldx, size_t tokens, const mk_linear_part *parts, size_t count, void *scratch) {
    struct run run = {.count = count, .columns = parts[0].weight->columns, .tokens = tokens, .width = tile_width(tokens), .x = x, .ldx = ldx};
    uint8_t *cursor = scratch;
    size_t bytes = 0, tasks = 0;
    for (size_t i = 0; i < count; i++) bytes += mk_ceil_div(parts[i].weight->rows, 16) * layout_group_bytes(parts[i].weight);
    size_t each = mk_min(mk_max(bytes / FEW_TASKS, TASK_LEAST), TASK_MOST);
    for (size_t i = 0; i < count; i++) {
        const mk_weight *weight = parts[i].weight;
        struct part *part = &run.parts[i];
        *part = (struct part){.format = int8_format_of(weight), .call = &parts[i], .group_bytes = layout_group_bytes(weight), .first_task = tasks};
        part->tile_bytes = int8_tile_bytes(part->format->kind, run.columns, run.width);
        part->groups = mk_max(1, each / part->group_bytes);
        tasks += mk_ceil_div(mk_ceil_div(weight->rows, 16), part->groups);
        for (size_t j = 0; j < i && !part->tiles; j++)
            if (run.parts[j].format->kind == part->format->kind && run.parts[j].format->offset == part->format->offset)
                part->tiles = run.parts[j].tiles;
        if (part->tiles) continue;
        part->tiles = mk_take(&cursor, rounded_bytes(weight, tokens));
        struct rounding rounding = {&run, part};
        size_t cuts = mk_ceil_div(run.columns, ROUND_COLUMNS) * mk_ceil_div(tokens, run.width);
        mk_parallel(tokens > 1 ? pool : NULL, cuts, round_columns, &rounding);
    }
    mk_parallel(pool, tasks, stream, &run);
}

#endif
