// Few tokens: the weight is read once, row after row, in the order in which it lies in memory, so that the products run at the
// speed of reading. Each row meets all tokens while it is in registers.
#include "layout_internal.h"
#include "linear_internal.h"

// What a task reads: up to 256 KiB of weight, so that each stream is long.
static size_t task_rows(const mk_weight *weight, size_t bytes) {
    size_t each = mk_min(mk_max(bytes / 16, (size_t)16 << 10), (size_t)256 << 10);
    return mk_ceil_div(mk_max(1, each / mk_max(weight->row_bytes, 1)), LINEAR_ROWS) * LINEAR_ROWS;
}

static bool rounds(const mk_weight *weight, mk_activation activation) {
    return weight->layout == MK_LAYOUT_BF16 && activation != MK_ACTIVATION_F32 && linear_dots_table()->bf16_bf16;
}

static bool direct(const mk_weight *weight) {
    return weight->layout == MK_LAYOUT_F32 || weight->layout == MK_LAYOUT_F16 || weight->layout == MK_LAYOUT_BF16;
}

static size_t row_scratch(const mk_weight *weight) {
    return direct(weight) || linear_codebook_fits(weight) ? 0 : mk_align_up(LINEAR_ROWS * weight->columns * sizeof(float));
}

size_t linear_rows_scratch_bytes(const mk_weight *weight, size_t tokens, mk_activation activation, size_t threads) {
    size_t bytes = MK_ALIGN + threads * row_scratch(weight);
    if (rounds(weight, activation)) bytes += mk_align_up(tokens * weight->columns * sizeof(uint16_t));
    if (linear_codebook_fits(weight)) bytes += mk_align_up(tokens * weight->columns * sizeof(float));
    return bytes;
}

struct part {
    const mk_linear_part *call;
    size_t rows;  // of a task
    size_t first_task;
};

struct run {
    struct part parts[MK_LINEAR_PARTS];
    size_t count;
    const void *x;
    size_t x_size;  // bytes of an element
    size_t ldx, tokens;
    linear_dot dot;
    linear_row row;  // NULL: dot
    uint8_t *scratch;
    size_t scratch_bytes;
};

static void multiply(void *arg, size_t index, size_t thread) {
    const struct run *run = arg;
    const struct part *part = run->parts;
    while (part + 1 < run->parts + run->count && index >= part[1].first_task) part++;
    const mk_linear_part *call = part->call;
    const mk_weight *weight = call->weight;
    float *unpacked = (float *)(void *)(run->scratch + thread * run->scratch_bytes);
    size_t first = (index - part->first_task) * part->rows, last = mk_min(first + part->rows, weight->rows);
    for (size_t row = first; row < last; row += LINEAR_ROWS) {
        const void *from = (const uint8_t *)weight->data + row * weight->row_bytes;
        size_t rows = mk_min(LINEAR_ROWS, last - row), row_bytes = weight->row_bytes;
        if (run->scratch_bytes) {
            layout_unpack(weight, row, rows, 0, weight->columns, unpacked, weight->columns);
            from = unpacked;
            row_bytes = weight->columns * sizeof(float);
        }
        for (size_t done = 0; done < run->tokens; done += LINEAR_TOKENS) {
            float sums[LINEAR_TOKENS * LINEAR_ROWS], *y = call->y + done * call->ldy + row;
            size_t tokens = mk_min(LINEAR_TOKENS, run->tokens - done);
            const uint8_t *x = (const uint8_t *)run->x + done * run->ldx * run->x_size;
            if (run->row)
                for (size_t r = 0; r < rows; r++) run->row(weight, row + r, x, run->ldx, tokens, sums + r);
            else
                run->dot(from, row_bytes, rows, x, run->ldx, tokens, weight->columns, sums);
            for (size_t t = 0; t < tokens; t++)
                for (size_t r = 0; r < rows; r++)
                    y[t * call->ldy + r] = sums[t * LINEAR_ROWS + r] + (call->bias ? call->bias[row + r] : 0);
        }
    }
}

void linear_rows(const mk_pool *pool, const float *x, size_t ldx, size_t tokens, const mk_linear_part *parts, size_t count,
                 mk_activation activation, void *scratch) {
    const linear_dots *dots = linear_dots_table();
    const mk_weight *weight = parts[0].weight;
    uint8_t *cursor = scratch;
    struct run run = {.count = count, .x = x, .x_size = sizeof(float), .ldx = ldx, .tokens = tokens, .dot = dots->f32,
                      .scratch_bytes = row_scratch(weight)};
    if (weight->layout == MK_LAYOUT_F16) run.dot = dots->f16;
    if (weight->layout == MK_LAYOUT_BF16) run.dot = dots->bf16;
    if (rounds(weight, activation)) {
        uint16_t *rounded = mk_take(&cursor, mk_align_up(tokens * weight->columns * sizeof(uint16_t)));
        for (size_t t = 0; t < tokens; t++) dots->round_bf16(x + t * ldx, weight->columns, rounded + t * weight->columns);
        run.x = rounded;
        run.x_size = sizeof(uint16_t);
        run.ldx = weight->columns;
        run.dot = dots->bf16_bf16;
    }
#if defined(__x86_64__)
    if (linear_codebook_fits(weight)) {
        bool round = activation != MK_ACTIVATION_F32;
        uint8_t *ordered = mk_take(&cursor, mk_align_up(tokens * weight->columns * sizeof(float)));
        run.x_size = round ? sizeof(uint16_t) : sizeof(float);
        for (size_t t = 0; t < tokens; t++)
            linear_codebook_order(x + t * ldx, weight->columns, round, ordered + t * weight->columns * run.x_size);
        run.x = ordered;
        run.ldx = weight->columns;
        run.row = round ? linear_codebook_bf16 : linear_codebook_f32;
    }
#endif
    run.scratch = mk_take(&cursor, 0);
    size_t bytes = 0, tasks = 0;
    for (size_t i = 0; i < count; i++) bytes += parts[i].weight->rows * parts[i].weight->row_bytes;
    for (size_t i = 0; i < count; i++) {
        run.parts[i] = (struct part){&parts[i], task_rows(parts[i].weight, bytes), tasks};
        tasks += mk_ceil_div(parts[i].weight->rows, run.parts[i].rows);
    }
    mk_parallel(pool, tasks, multiply, &run);
}

const linear_dots *linear_dots_table(void) {
#if defined(__x86_64__)
    mk_level level = mk_current_level();
    if (level >= MK_LEVEL_AVX512_DOT) return &linear_dots_avx512_dot;
    if (level >= MK_LEVEL_AVX512) return &linear_dots_avx512;
    if (level >= MK_LEVEL_AVX2) return &linear_dots_avx2;
#endif
    return &linear_dots_portable;
}

// MARK: Plain C

#define DOT(name, type, convert)                                                                                         \
    static void name(const void *rows, size_t row_bytes, size_t row_count, const void *x, size_t ld, size_t tokens,      \
                     size_t columns, float *sums) {                                                                      \
        for (size_t r = 0; r < row_count; r++)                                                                           \
            for (size_t t = 0; t < tokens; t++) {                                                                        \
                const type *w = (const void *)((const uint8_t *)rows + r * row_bytes);                                   \
                const float *v = (const float *)x + t * ld;                                                              \
                float part[8] = {0};                                                                                     \
                size_t c = 0;                                                                                            \
                for (; c + 8 <= columns; c += 8)                                                                         \
                    for (size_t i = 0; i < 8; i++) part[i] += convert(w[c + i]) * v[c + i];                              \
                for (size_t i = 0; c < columns; c++, i++) part[i] += convert(w[c]) * v[c];                               \
                sums[t * LINEAR_ROWS + r] =                                                                              \
                    ((part[0] + part[4]) + (part[1] + part[5])) + ((part[2] + part[6]) + (part[3] + part[7]));           \
            }                                                                                                            \
    }
DOT(dot_f32, float, )
DOT(dot_f16, uint16_t, mk_f16_to_f32)
DOT(dot_bf16, uint16_t, mk_bf16_to_f32)

const linear_dots linear_dots_portable = {.f32 = dot_f32, .f16 = dot_f16, .bf16 = dot_bf16};
