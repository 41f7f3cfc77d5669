// Elementwise programs: the shape is cut into tiles, each register holds one tile, and every instruction runs over a whole tile,
// so that memory is read once and written once however long the program is.
#include "elementwise_plan.h"

#define MK_BODY "elementwise_body.h"
#include "simd_targets.h"

// MARK: Planning

static bool reads_a(uint8_t op) { return op != MK_EW_CONSTANT; }
static bool reads_b(uint8_t op) { return op >= MK_EW_ADD; }
static bool reads_c(uint8_t op) { return op == MK_EW_FMA || op == MK_EW_WHERE; }

static bool well_formed(const mk_ew_program *p) {
    if (p->rank > MK_MAX_RANK || p->input_count > MK_EW_REGISTERS || p->output_count > MK_EW_REGISTERS) return false;
    uint32_t set = 0;
    for (size_t i = 0; i < p->input_count; i++) {
        const mk_ew_operand *in = &p->inputs[i];
        if (in->reg >= MK_EW_REGISTERS || (unsigned)in->type > MK_DTYPE_U8 || (set >> in->reg) & 1) return false;
        set |= 1u << in->reg;
    }
    for (size_t i = 0; i < p->code_count; i++) {
        mk_ew_instruction n = p->code[i];
        if (n.op >= MK_EW_COUNT || n.to >= MK_EW_REGISTERS) return false;
        if (reads_a(n.op) && (n.a >= MK_EW_REGISTERS || !((set >> n.a) & 1))) return false;
        if (reads_b(n.op) && (n.b >= MK_EW_REGISTERS || !((set >> n.b) & 1))) return false;
        if (reads_c(n.op) && (n.c >= MK_EW_REGISTERS || !((set >> n.c) & 1))) return false;
        set |= 1u << n.to;
    }
    for (size_t i = 0; i < p->output_count; i++) {
        const mk_ew_operand *out = &p->outputs[i];
        if (out->reg >= MK_EW_REGISTERS || (unsigned)out->type > MK_DTYPE_U8 || !((set >> out->reg) & 1)) return false;
    }
    for (size_t d = 0; d < p->rank; d++)
        if (p->shape[d] < 0) return false;
    return true;
}

static int64_t *strides_of(mk_ew_plan *plan, size_t i) {
    return i < plan->input_count ? plan->inputs[i].strides : plan->outputs[i - plan->input_count].strides;
}

/// Drops axes of extent 1 and joins neighbours that every operand walks as one, so that inner loops are long.
static void collapse(mk_ew_plan *plan) {
    size_t operands = plan->input_count + plan->output_count, rank = 0;
    for (size_t d = 0; d < plan->rank; d++) {
        if (plan->shape[d] == 1) continue;
        bool joins = rank > 0;
        for (size_t i = 0; i < operands && joins; i++) {
            int64_t *s = strides_of(plan, i);
            joins = s[rank - 1] == s[d] * plan->shape[d];
        }
        size_t to = joins ? rank - 1 : rank++;
        plan->shape[to] = joins ? plan->shape[to] * plan->shape[d] : plan->shape[d];
        for (size_t i = 0; i < operands; i++) strides_of(plan, i)[to] = strides_of(plan, i)[d];
    }
    plan->rank = rank;
}

/// First byte past the memory that an operand touches (strides may be negative: then the low end moves).
static void extent(const mk_ew_plan *plan, const mk_ew_operand *operand, const char **low, const char **high) {
    int64_t from = 0, to = 0;
    for (size_t d = 0; d < plan->rank; d++) {
        int64_t span = (plan->shape[d] - 1) * operand->strides[d];
        if (span < 0) from += span;
        else to += span;
    }
    int64_t size = (int64_t)mk_dtype_size(operand->type);
    *low = (const char *)operand->data + from * size;
    *high = (const char *)operand->data + (to + 1) * size;
}

static bool overlaps(const mk_ew_plan *plan, const mk_ew_operand *a, const mk_ew_operand *b) {
    const char *a0, *a1, *b0, *b1;
    extent(plan, a, &a0, &a1);
    extent(plan, b, &b0, &b1);
    return a0 < b1 && b0 < a1;
}

/// Lets the last instruction that sets an output's register write to the output's memory itself, where no later instruction reads an
/// input that lies in that memory.
static void choose_direct_outputs(mk_ew_plan *plan) {
    for (size_t i = 0; i < plan->code_count; i++) plan->direct[i] = -1;
    for (size_t o = 0; o < plan->output_count; o++) {
        const mk_ew_operand *out = &plan->outputs[o];
        if (out->type != MK_DTYPE_F32 || plan->stream) continue;
        size_t last = plan->code_count;
        for (size_t i = 0; i < plan->code_count; i++)
            if (plan->code[i].to == out->reg) last = i;
        if (last == plan->code_count || plan->direct[last] >= 0) continue;
        bool safe = true;
        for (size_t in = 0; in < plan->input_count && safe; in++) {
            if (!overlaps(plan, out, &plan->inputs[in])) continue;
            uint8_t reg = plan->inputs[in].reg;
            for (size_t i = last + 1; i < plan->code_count && safe; i++) {
                mk_ew_instruction n = plan->code[i];
                safe = !(reads_a(n.op) && n.a == reg) && !(reads_b(n.op) && n.b == reg) && !(reads_c(n.op) && n.c == reg);
            }
            for (size_t other = 0; other < plan->output_count && safe; other++) safe = plan->outputs[other].reg != reg;
        }
        if (!safe) continue;
        plan->direct[last] = (int16_t)o;
    }
}

static void cut_tiles(mk_ew_plan *plan) {
    plan->cols = plan->rank > 0 ? (size_t)plan->shape[plan->rank - 1] : 1;
    plan->rows = plan->rank > 1 ? (size_t)plan->shape[plan->rank - 2] : 1;
    plan->outer = 1;
    for (size_t d = 0; d + 2 < plan->rank; d++) plan->outer *= (size_t)plan->shape[d];
    if (plan->cols >= MK_EW_TILE / 2) {
        size_t pieces = mk_ceil_div(plan->cols, MK_EW_TILE);
        plan->tile_rows = 1;
        plan->tile_cols = mk_ceil_div(mk_ceil_div(plan->cols, pieces), VF) * VF;
    } else {
        plan->tile_rows = mk_min(plan->rows, MK_EW_TILE / mk_max(plan->cols, 1));
        plan->tile_cols = plan->cols;
    }
    plan->row_tiles = mk_ceil_div(plan->rows, plan->tile_rows);
    plan->col_tiles = mk_ceil_div(plan->cols, plan->tile_cols);
    plan->tiles = plan->outer * plan->row_tiles * plan->col_tiles;
}

bool mk_ew_run(const mk_pool *pool, const mk_ew_program *program) {
    if (!well_formed(program)) return false;
    mk_ew_plan plan = {.code = program->code, .code_count = program->code_count, .input_count = program->input_count,
                       .output_count = program->output_count, .rank = program->rank};
    if (program->code_count > MK_EW_MOST_CODE) return false;
    for (size_t d = 0; d < program->rank; d++) {
        if (program->shape[d] == 0) return true;
        plan.shape[d] = program->shape[d];
    }
    memcpy(plan.inputs, program->inputs, program->input_count * sizeof(mk_ew_operand));
    memcpy(plan.outputs, program->outputs, program->output_count * sizeof(mk_ew_operand));
    collapse(&plan);
    cut_tiles(&plan);
    for (size_t i = 0; i < plan.code_count; i++) plan.overwritten |= 1u << plan.code[i].to;
    // Stores that bypass the caches save the read of each line that is about to be overwritten, but only pay where the result would
    // leave the cache anyway, and must not be used on lines that were just read as input.
    plan.stream = plan.tiles * plan.tile_rows * plan.tile_cols * 4 >= MK_EW_STREAM_BYTES;
    for (size_t o = 0; o < plan.output_count && plan.stream; o++)
        for (size_t i = 0; i < plan.input_count && plan.stream; i++) plan.stream = !overlaps(&plan, &plan.outputs[o], &plan.inputs[i]);
    choose_direct_outputs(&plan);
    mk_parallel(pool, mk_ceil_div(plan.tiles, MK_EW_GROUP), MK_PICK(mk_ew_group), &plan);
    return true;
}
