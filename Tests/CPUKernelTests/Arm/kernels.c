// What the kernels compute, written to a file on one processor and compared on another: how NEON is held against the
// instruction sets that the suite tests. compare.sh does both, with qemu in place of an Arm.
//
//     kernels write FILE [LEVEL]      LEVEL: 0 portable, 2 AVX2, 3 AVX-512, 4 AVX-512 with BF16 and VNNI
//     kernels compare FILE [LEVEL]    exits 1 where a result is further off than its bound
#include "cpu_ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *file;
static bool comparing;
static int failures, results;

/// Writes a result, or reads what was written and says how far off this one is: against the largest of it, as sums cancel.
static void result(const char *name, const float *x, size_t count, double bound) {
    results++;
    if (!comparing) {
        fwrite(&count, sizeof count, 1, file);
        fwrite(x, sizeof *x, count, file);
        return;
    }
    size_t stored = 0;
    float *wanted = malloc(count * sizeof *x + 4);
    if (fread(&stored, sizeof stored, 1, file) != 1 || stored != count || fread(wanted, sizeof *x, count, file) != count) {
        fprintf(stderr, "%s: the file holds another result\n", name);
        exit(2);
    }
    double largest = 1e-6, worst = 0;
    for (size_t i = 0; i < count; i++) {
        if (isfinite(wanted[i])) largest = fmax(largest, fabs((double)wanted[i]));
        double error = wanted[i] == x[i] || (isnan(wanted[i]) && isnan(x[i])) ? 0 : fabs((double)wanted[i] - (double)x[i]);
        worst = isnan(error) ? INFINITY : fmax(worst, error);
    }
    if (worst / largest > bound) {
        failures++;
        printf("%-28s off by %.2e, bound %.0e\n", name, worst / largest, bound);
    }
    free(wanted);
}

static void whole_numbers(const char *name, const int32_t *x, size_t count) {
    float *y = malloc(count * sizeof *y + 4);
    for (size_t i = 0; i < count; i++) y[i] = (float)x[i];
    result(name, y, count, 0);
    free(y);
}

static uint64_t state = 88172645463325252u;
static uint32_t draw(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)(state >> 32);
}
static float number(void) { return (float)(draw() >> 8) * 0x1p-23f - 1; }

static float *numbers(size_t count) {
    float *x = malloc(count * sizeof *x + 64);
    for (size_t i = 0; i < count; i++) x[i] = number();
    return x;
}
static float *room(size_t count) { return calloc(count + 16, sizeof(float)); }
static void *scratch(size_t bytes) { return aligned_alloc(64, mk_align_up(bytes + 64)); }

// MARK: Products

typedef struct {
    mk_layout layout;
    const char *name;
    uint8_t bits;
    int halves[2];  // offsets of f16 scales in a block; -1: none
    int block;      // bytes
} form;

static const form forms[] = {
    {MK_LAYOUT_F32, "f32", 0, {-1, -1}, 0},        {MK_LAYOUT_F16, "f16", 0, {-1, -1}, 0},
    {MK_LAYOUT_BF16, "bf16", 0, {-1, -1}, 0},      {MK_LAYOUT_Q4_0, "q4_0", 0, {0, -1}, 18},
    {MK_LAYOUT_Q4_1, "q4_1", 0, {0, 2}, 20},       {MK_LAYOUT_Q5_0, "q5_0", 0, {0, -1}, 22},
    {MK_LAYOUT_Q5_1, "q5_1", 0, {0, 2}, 24},       {MK_LAYOUT_Q8_0, "q8_0", 0, {0, -1}, 34},
    {MK_LAYOUT_Q2_K, "q2_k", 0, {80, 82}, 84},     {MK_LAYOUT_Q3_K, "q3_k", 0, {108, -1}, 110},
    {MK_LAYOUT_Q4_K, "q4_k", 0, {0, 2}, 144},      {MK_LAYOUT_Q5_K, "q5_k", 0, {0, 2}, 176},
    {MK_LAYOUT_Q6_K, "q6_k", 0, {208, -1}, 210},   {MK_LAYOUT_IQ4_NL, "iq4_nl", 0, {0, -1}, 18},
    {MK_LAYOUT_IQ4_XS, "iq4_xs", 0, {0, -1}, 136}, {MK_LAYOUT_MXFP4, "mxfp4", 0, {-1, -1}, 17},
    {MK_LAYOUT_CODEBOOK4, "codebook4", 0, {-1, -1}, 0}, {MK_LAYOUT_FP8_E4M3, "fp8", 0, {-1, -1}, 0},
    {MK_LAYOUT_AFFINE, "affine2", 2, {-1, -1}, 0}, {MK_LAYOUT_AFFINE, "affine3", 3, {-1, -1}, 0},
    {MK_LAYOUT_AFFINE, "affine4", 4, {-1, -1}, 0}, {MK_LAYOUT_AFFINE, "affine5", 5, {-1, -1}, 0},
    {MK_LAYOUT_AFFINE, "affine6", 6, {-1, -1}, 0}, {MK_LAYOUT_AFFINE, "affine8", 8, {-1, -1}, 0},
};
static float table[16];

static mk_weight weight_of(const form *f, size_t rows, size_t columns) {
    size_t row_bytes = mk_row_bytes(f->layout, f->bits, columns), bytes = rows * row_bytes, group = 32;
    uint8_t *data = malloc(bytes + 64);
    for (size_t i = 0; i < bytes; i++) data[i] = (uint8_t)draw();
    for (size_t i = 0; f->layout <= MK_LAYOUT_BF16 && i < rows * columns; i++) {
        float x = number();
        uint16_t half = f->layout == MK_LAYOUT_F16 ? mk_f32_to_f16(x) : mk_f32_to_bf16(x);
        if (f->layout == MK_LAYOUT_F32) memcpy(data + 4 * i, &x, 4);
        else memcpy(data + 2 * i, &half, 2);
    }
    for (size_t at = 0; f->block && at < bytes; at += (size_t)f->block) {
        for (int h = 0; h < 2; h++) {
            uint16_t half = mk_f32_to_f16(number() * 0.05f);
            if (f->halves[h] >= 0) memcpy(data + at + f->halves[h], &half, 2);
        }
        if (f->layout == MK_LAYOUT_MXFP4) data[at] = (uint8_t)(118 + draw() % 5);
    }
    for (size_t i = 0; f->layout == MK_LAYOUT_FP8_E4M3 && i < bytes; i++)
        if ((data[i] & 0x7f) == 0x7f) data[i] = 0;
    size_t scales = rows * mk_ceil_div(columns, group);
    float *scale = numbers(scales), *zero = numbers(scales);
    for (size_t i = 0; i < scales; i++) scale[i] = scale[i] * 0.01f + 0.02f, zero[i] = zero[i] * 4 + 4;
    mk_weight w = {.layout = f->layout, .bits = f->bits, .scale_type = MK_SCALE_F32, .rows = rows, .columns = columns,
                   .row_bytes = row_bytes, .data = data, .scales = scale, .zeros = zero, .group = group, .group_rows = 1,
                   .codebook = table};
    return w;
}

static void products(void) {
    char name[64];
    for (int i = 0; i < 16; i++) table[i] = (float)(i * i) / 100 - 1;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t rows = 37, columns = mk_block_columns(forms[i].layout) == 256 ? 512 : 160;
        mk_weight w = weight_of(&forms[i], rows, columns);
        float *plain = room(rows * columns);
        mk_dequantize_rows(&w, 0, rows, plain, columns);
        snprintf(name, sizeof name, "%s decoded", forms[i].name);
        result(name, plain, rows * columns, 1e-6);
        const size_t counts[] = {1, 3, 20};
        for (int c = 0; c < 3; c++) {
            size_t tokens = counts[c];
            float *x = numbers(tokens * columns), *dy = numbers(tokens * rows), *bias = numbers(rows);
            for (int a = 0; a < 2; a++) {
                mk_activation activation = a ? MK_ACTIVATION_BF16 : MK_ACTIVATION_F32;
                float *y = room(tokens * rows), *dx = room(tokens * columns);
                void *s = scratch(mk_linear_scratch_bytes(&w, tokens, activation, 1));
                mk_linear(NULL, x, columns, tokens, &w, bias, activation, y, rows, s);
                snprintf(name, sizeof name, "%s linear %zu %d", forms[i].name, tokens, a);
                result(name, y, tokens * rows, a ? 1e-2 : 2e-6);
                s = scratch(mk_linear_backward_input_scratch_bytes(&w, tokens, activation, 0, 1));
                mk_linear_backward_input(NULL, dy, rows, tokens, &w, NULL, activation, false, dx, columns, s);
                snprintf(name, sizeof name, "%s backward %zu %d", forms[i].name, tokens, a);
                result(name, dx, tokens * columns, a ? 1e-2 : 2e-6);
            }
        }
    }
    for (int t = 0; t < 4; t++) {
        mk_gemm g = {.transpose_a = t & 1, .transpose_b = t & 2, .m = 37, .n = 41, .k = 67, .alpha = 1.5f, .beta = 0.5f};
        g.a = numbers(g.m * g.k), g.b = numbers(g.n * g.k), g.c = numbers(g.m * g.n);
        g.lda = g.transpose_a ? g.m : g.k, g.ldb = g.transpose_b ? g.k : g.n, g.ldc = g.n;
        mk_gemm_f32(NULL, &g, scratch(mk_gemm_scratch_bytes(&g, 1)));
        snprintf(name, sizeof name, "gemm %d", t);
        result(name, g.c, g.m * g.n, 2e-6);
    }
    int32_t experts[11] = {0, 2, 1, 2, -1, 0, 0, 1, 2, 2, 1};
    mk_routing routing = {.rows = 11, .experts = 3, .expert = experts};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i += 3) {
        mk_weight w = weight_of(&forms[i], 3 * 16, 512);
        float *x = numbers(11 * 512), *dy = numbers(11 * 16), *y = room(11 * 16), *dx = room(11 * 512);
        mk_expert_linear(NULL, x, 512, &routing, &w, NULL, MK_ACTIVATION_F32, y, 16,
                         scratch(mk_expert_linear_scratch_bytes(&routing, &w, MK_ACTIVATION_F32, 1)));
        snprintf(name, sizeof name, "%s experts", forms[i].name);
        result(name, y, 11 * 16, 2e-6);
        mk_expert_linear_backward_input(NULL, dy, 16, &routing, &w, MK_ACTIVATION_F32, dx, 512,
                                        scratch(mk_expert_linear_backward_input_scratch_bytes(&routing, &w, MK_ACTIVATION_F32, 1)));
        snprintf(name, sizeof name, "%s experts backward", forms[i].name);
        result(name, dx, 11 * 512, 2e-6);
    }
}

// MARK: The other ops

static void rows_of_numbers(void) {
    size_t rows = 7, width = 133, count = rows * width;
    float *x = numbers(count), *dy = numbers(count), *w = numbers(width), *b = numbers(width), *y = room(count), *dx = room(count);
    float *dw = room(width), *db = room(width);
    void *s = scratch(mk_norm_scratch_bytes(rows, width));
    mk_rms_norm(NULL, x, NULL, NULL, w, y, rows, width, 1e-5f, 1), result("rms_norm", y, count, 2e-6);
    mk_rms_norm_backward(NULL, dy, x, w, dx, dw, rows, width, 1e-5f, 1, s);
    result("rms_norm_backward", dx, count, 2e-6), result("rms_norm_backward w", dw, width, 2e-6);
    mk_layer_norm(NULL, x, w, b, y, rows, width, 1e-5f), result("layer_norm", y, count, 2e-6);
    mk_layer_norm_backward(NULL, dy, x, w, dx, dw, db, rows, width, 1e-5f, s);
    result("layer_norm_backward", dx, count, 2e-6), result("layer_norm_backward w", dw, width, 2e-6);
    result("layer_norm_backward b", db, width, 2e-6);
    mk_softmax(NULL, x, y, rows, width), result("softmax", y, count, 2e-6);
    mk_log_softmax(NULL, x, y, rows, width), result("log_softmax", y, count, 2e-6);
    mk_logsumexp(NULL, x, y, rows, width), result("logsumexp", y, rows, 2e-6);
    for (int k = 0; k < 3; k++) {
        mk_reduce(NULL, (mk_reduction)k, x, y, rows, 19, 7, scratch(mk_reduce_scratch_bytes(rows, 19, 7)));
        result("reduce", y, rows * 7, 2e-6);
    }
    mk_cumsum(NULL, x, y, rows, width, 1, false), result("cumsum", y, count, 2e-6);
    int32_t *places = calloc(count, sizeof *places);
    mk_argmax(NULL, x, places, rows, width, 1), whole_numbers("argmax", places, rows);
    mk_topk(NULL, x, y, places, rows, width, 9), result("topk", y, rows * 9, 0), whole_numbers("topk places", places, rows * 9);
    int32_t ids[9] = {4, 0, 4, -1, 6, 2, 9, 1, 1};
    mk_gather_rows(NULL, x, MK_DTYPE_F32, rows, width, ids, 9, y = room(9 * width)), result("gather", y, 9 * width, 0);
    mk_scatter_add_rows(NULL, y, ids, 9, width, dx, rows, false), result("scatter", dx, count, 2e-6);
    uint16_t halves[64];
    for (int k = MK_DTYPE_BF16; k <= MK_DTYPE_F16; k++) {
        mk_cast(NULL, x, MK_DTYPE_F32, halves, (mk_dtype)k, 61), mk_cast(NULL, halves, (mk_dtype)k, y, MK_DTYPE_F32, 61);
        result("cast", y, 61, 0);
    }
    const uint32_t seed[2] = {5, 6};
    mk_dropout(NULL, x, y = room(count), count, 0.4f, seed, 3), result("dropout", y, count, 1e-7);
    mk_uniform(NULL, y, count, seed, 4), result("uniform", y, count, 0);
    float codes[256], *scales = room(16);
    for (int i = 0; i < 256; i++) codes[i] = (float)(i - 128) / 128;
    uint8_t bytes[2048];
    mk_quantize_blocks(NULL, x, codes, count, 64, bytes, scales), mk_dequantize_blocks(NULL, bytes, scales, codes, count, 64, y);
    result("blocks", y, count, 1e-7);
    mk_patches form = {.channels = 3, .height = 11, .width = 8, .kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 1}, .dilation = {2, 1}};
    size_t patches = mk_patch_count(&form, 0) * mk_patch_count(&form, 1) * 18;
    mk_unfold(NULL, x, y = room(patches), &form), result("unfold", y, patches, 0);
    mk_fold(NULL, y, dx, &form), result("fold", dx, 3 * 11 * 8, 2e-6);
}

static void elementwise(void) {
    size_t count = 203;
    float *a = numbers(count), *b = numbers(count), *c = numbers(count), *y = room(count);
    for (size_t i = 0; i < count; i++) a[i] = a[i] * 6 + (i % 3 ? 0 : 7), b[i] += 2.5f;
    for (int op = 0; op < MK_EW_COUNT; op++) {
        mk_ew_instruction code = {.op = (uint8_t)op, .to = 3, .a = 0, .b = 1, .c = 2, .value = 0.7f};
        mk_ew_operand in[3] = {{a, MK_DTYPE_F32, 0, {1}}, {b, MK_DTYPE_F32, 1, {1}}, {c, MK_DTYPE_F32, 2, {1}}};
        mk_ew_operand out = {y, MK_DTYPE_F32, 3, {1}};
        mk_ew_program program = {&code, 1, in, 3, &out, 1, 1, {(int64_t)count}};
        char name[32];
        snprintf(name, sizeof name, "elementwise %d", op);
        if (!mk_ew_run(NULL, &program)) printf("%s was refused\n", name), failures++;
        result(name, y, count, 3e-6);
    }
}

static void attention(void) {
    int32_t segments[4] = {0, 1, 8, 21};
    size_t t = 21, heads = 4, kv = 2, d = 24, dv = 16;
    int32_t positions[21];
    for (int i = 0; i < 21; i++) positions[i] = i * 7;
    float *q = numbers(t * heads * d), *k = numbers(t * kv * d), *v = numbers(t * kv * dv), *sinks = numbers(heads);
    float *dout = numbers(t * heads * dv), *out = room(t * heads * dv), *lse = room(t * heads);
    float frequencies[12];
    for (int i = 0; i < 12; i++) frequencies[i] = expf(-(float)i);
    for (int i = 0; i < 2; i++) {
        mk_rope_shape rope = {t, heads, d, 11, heads * d, heads * d, i, false, 1.25f};
        float *y = room(t * heads * d);
        mk_rope(NULL, q, positions, NULL, frequencies, y, &rope), result("rope", y, t * heads * d, 3e-6);
    }
    for (int i = 0; i < 8; i++) {
        mk_attention_shape shape = {.query_tokens = t, .key_tokens = t, .query_heads = heads, .kv_heads = kv, .width = d, .value_width = dv,
                                    .q_segments = segments, .k_segments = segments, .segments = 3, .scale = 0.4f,
                                    .softcap = i & 2 ? 3 : 0, .window = i & 4 ? 5 : 0, .causal = !(i & 1)};
        float *dq = room(t * heads * d), *dk = room(t * kv * d), *dvs = room(t * kv * dv), *ds = room(heads);
        const float *s = i & 4 ? NULL : sinks;
        mk_attention(NULL, q, k, v, s, out, lse, &shape, scratch(mk_attention_scratch_bytes(NULL, &shape)));
        result("attention", out, t * heads * dv, 3e-6), result("attention lse", lse, t * heads, 3e-6);
        mk_attention_backward(NULL, dout, q, k, v, s, out, lse, dq, dk, dvs, ds, &shape,
                              scratch(mk_attention_backward_scratch_bytes(NULL, &shape)));
        result("attention dq", dq, t * heads * d, 3e-6), result("attention dk", dk, t * kv * d, 3e-6);
        result("attention dv", dvs, t * kv * dv, 3e-6), result("attention dsinks", ds, heads, 3e-6);
    }
    int32_t slots[21], context[3] = {1, 7, 13}, blocks[3] = {2, 0, 1};
    for (int s = 0, i = 0; s < 3; s++)
        for (int p = 0; p < context[s]; p++, i++) slots[i] = blocks[s] * 16 + p;
    for (int type = MK_DTYPE_F32; type <= MK_DTYPE_F16; type++) {
        mk_paged_shape shape = {.tokens = t, .query_heads = heads, .kv_heads = kv, .width = d, .value_width = dv, .slots = slots,
                                .q_segments = segments, .context = context, .block_table = blocks, .segments = 3, .table_stride = 1,
                                .blocks = 3, .block_size = 16, .cache_type = (mk_dtype)type, .scale = 0.4f};
        if (!mk_attention_paged(NULL, q, k, v, room(3 * 2 * 16 * d), room(3 * 2 * 16 * dv), NULL, out, &shape,
                                scratch(mk_attention_paged_scratch_bytes(NULL, &shape))))
            printf("attention_paged was refused\n"), failures++;
        result("attention_paged", out, t * heads * dv, type ? 1e-2 : 3e-6);
    }
}

static void vocabulary(void) {
    size_t tokens = 9, width = 24, words = 2100;
    int32_t labels[9] = {5, -100, 2099, 0, 7, -100, 2048, 1, 2099};
    mk_weight head = weight_of(&forms[0], words, width);
    float *hidden = numbers(tokens * width), *bias = numbers(words), *logp = room(tokens), *lse = room(tokens), *entropy = room(tokens);
    mk_label_form form = {.tokens = tokens, .head = &head, .bias = bias, .scale = 0.7f, .softcap = 3, .activation = MK_ACTIVATION_F32};
    mk_label_logprobs(NULL, hidden, labels, logp, lse, entropy, &form, scratch(mk_label_logprobs_scratch_bytes(NULL, &form)));
    result("label_logprobs", logp, tokens, 3e-6), result("entropy", entropy, tokens, 3e-6);
    mk_label_upstream up = {numbers(tokens), numbers(tokens), numbers(tokens), entropy};
    float *dh = room(tokens * width), *dw = room(words * width), *db = room(words);
    mk_label_logprobs_backward(NULL, &up, hidden, labels, lse, dh, dw, db, false, &form,
                               scratch(mk_label_logprobs_backward_scratch_bytes(NULL, &form)));
    result("label hidden", dh, tokens * width, 3e-6), result("label head", dw, words * width, 3e-6), result("label bias", db, words, 3e-6);
    mk_sampling sampling[3] = {{.temperature = 0, .top_p = 1, .repetition_penalty = 1}, {.temperature = 0.8f, .top_k = 40, .top_p = 0.9f, .repetition_penalty = 1, .seed = {1, 2}, .position = 7}, {.temperature = 1.3f, .top_p = 1, .min_p = 0.1f, .repetition_penalty = 1, .seed = {3, 4}, .position = 9}};
    float *logits = numbers(3 * words), logprobs[3];
    int32_t chosen[3];
    for (size_t i = 0; i < 3 * words; i++) logits[i] *= 9;
    mk_sample(NULL, logits, 3, words, sampling, chosen, logprobs, 0, NULL, NULL, scratch(mk_sample_scratch_bytes(NULL, words)));
    whole_numbers("sample", chosen, 3), result("sample logprobs", logprobs, 3, 3e-6);
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "kernels write|compare FILE [LEVEL]\n"), 2;
    comparing = argv[1][0] == 'c';
    if (argc > 3) mk_limit_level((mk_level)atoi(argv[3]));
    if (!(file = fopen(argv[2], comparing ? "rb" : "wb"))) return perror(argv[2]), 2;
    products(), rows_of_numbers(), elementwise(), attention(), vocabulary();
    printf("%s: %d results, %d off\n", mk_level_name(mk_current_level()), results, failures);
    return fclose(file) || failures ? 1 : 0;
}
