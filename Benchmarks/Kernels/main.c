// kernelbench [threads] [filter]: rate of each product and its share of the ceiling measured just before and after it.
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

enum { repeats = 5 };

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, ascending);
    return values[count / 2];
}

typedef struct shape {
    size_t tokens, rows, columns;
} shape;

typedef enum job { FORWARD, BACKWARD, GEMM } job;

typedef struct subject {
    const char *name;
    job job;
    mk_layout layout;
    mk_activation activation;
    bool repack;
    bench_ceiling ceiling;
} subject;

static void *filled(size_t bytes, bool floats) {
    uint8_t *memory = mk_huge_alloc(bytes);
    if (!memory) {
        fprintf(stderr, "kernelbench: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    uint32_t state = 12345;
    for (size_t i = 0; i + 4 <= bytes; i += 4) {
        state = state * 1664525u + 1013904223u;
        float value = (float)(int32_t)state * 0x1p-31f;
        // Small exponents in every 16-bit field, whatever it means to the layout.
        uint32_t bits = floats ? mk_float_bits(value) : state & 0xaf7fefbfu;
        memcpy(memory + i, &bits, 4);
    }
    return memory;
}

static void bench(const subject *subject, shape shape, const mk_pool *pool) {
    size_t row_bytes = mk_row_bytes(subject->layout, 0, shape.columns);
    if (row_bytes == 0) return;
    mk_weight weight = {.layout = subject->layout, .rows = shape.rows, .columns = shape.columns, .row_bytes = row_bytes};
    size_t bytes = row_bytes * shape.rows;
    // Few tokens are limited by memory, so walk over copies that no cache holds.
    size_t copies = shape.tokens <= 16 ? mk_max(1, ((size_t)256 << 20) / bytes) : 1;
    mk_weight *weights = calloc(copies, sizeof *weights);
    size_t *sizes = calloc(copies, sizeof *sizes);
    for (size_t i = 0; i < copies; i++) {
        void *data = filled(bytes, subject->layout == MK_LAYOUT_F32);
        weight.data = data;
        weights[i] = weight;
        sizes[i] = bytes;
        if (subject->repack && mk_can_repack(&weight)) {
            sizes[i] = mk_repacked_bytes(&weight);
            void *to = mk_huge_alloc(sizes[i]);
            weights[i] = mk_repack(pool, &weight, to);
            mk_huge_free(data, bytes);
        }
    }
    float *x = filled(shape.tokens * shape.columns * 4, true), *y = filled(shape.tokens * shape.rows * 4, true);
    mk_gemm gemm = {.transpose_b = true, .m = shape.tokens, .n = shape.rows, .k = shape.columns, .alpha = 1, .a = x,
                    .lda = shape.columns, .b = weights[0].data, .ldb = shape.columns, .c = y, .ldc = shape.rows,
                    .factors = subject->activation};
    size_t threads = mk_threads(pool), scratch_bytes = mk_gemm_scratch_bytes(&gemm, threads);
    if (subject->job == FORWARD)
        scratch_bytes = mk_linear_scratch_bytes(&weights[0], shape.tokens, subject->activation, threads);
    if (subject->job == BACKWARD)
        scratch_bytes = mk_linear_backward_input_scratch_bytes(&weights[0], shape.tokens, subject->activation, threads);
    void *scratch = mk_huge_alloc(scratch_bytes);
    double work = subject->ceiling == CEILING_READ ? (double)sizes[0] : 2.0 * (double)shape.tokens * (double)shape.rows * (double)shape.columns;
    double rates[repeats], shares[repeats];
    size_t loops = 1;
    for (int r = -1; r < repeats; r++) {
        double before = bench_measure(subject->ceiling, pool), start = bench_now();
        for (size_t l = 0; l < loops; l++)
            for (size_t i = 0; i < copies; i++) switch (subject->job) {
                case FORWARD: mk_linear(pool, x, shape.columns, shape.tokens, &weights[i], NULL, subject->activation, y, shape.rows, scratch); break;
                case BACKWARD: mk_linear_backward_input(pool, y, shape.rows, shape.tokens, &weights[i], subject->activation, x, shape.columns, scratch); break;
                case GEMM: mk_gemm_f32(pool, &gemm, scratch); break;
                }
        double time = bench_now() - start, after = bench_measure(subject->ceiling, pool);
        if (r < 0) {
            loops = mk_max(1, (size_t)(0.1 / time));
            continue;
        }
        rates[r] = work * (double)(loops * copies) / time * 1e-9;
        shares[r] = 2 * rates[r] / (before + after);
    }
    double rate = median(rates, repeats), share = median(shares, repeats);
    printf("%-22s %5zu x %5zu x %5zu  %8.2f %s  %5.1f %% of %s [%.1f-%.1f]\n", subject->name, shape.tokens, shape.rows,
           shape.columns, rate, subject->ceiling == CEILING_READ ? "GB/s" : "Gop/s", 100 * share,
           bench_ceiling_names[subject->ceiling], 100 * shares[0], 100 * shares[repeats - 1]);
    fflush(stdout);
    mk_huge_free(scratch, scratch_bytes);
    mk_huge_free(x, shape.tokens * shape.columns * 4);
    mk_huge_free(y, shape.tokens * shape.rows * 4);
    for (size_t i = 0; i < copies; i++) mk_huge_free((void *)(uintptr_t)weights[i].data, sizes[i]);
    free(weights);
    free(sizes);
}

int main(int count, char **arguments) {
    size_t threads = count > 1 ? (size_t)strtoul(arguments[1], NULL, 10) : 2;
    const char *filter = count > 2 ? arguments[2] : "";
    if (threads < 1 || threads > 256) {
        fprintf(stderr, "kernelbench: threads is 1 to 256, found %s\n", arguments[1]);
        return 1;
    }
    mk_pool pool = bench_pool_start(threads);
    printf("%s, %zu threads; median of %d, ceiling measured before and after each\n", mk_level_name(mk_current_level()),
           threads, repeats);
    static const subject subjects[] = {
        {"gemm f32", GEMM, MK_LAYOUT_F32, MK_ACTIVATION_F32, false, CEILING_F32},
        {"forward bf16", FORWARD, MK_LAYOUT_BF16, MK_ACTIVATION_BF16, false, CEILING_BF16},
        {"backward bf16", BACKWARD, MK_LAYOUT_BF16, MK_ACTIVATION_BF16, false, CEILING_BF16},
        {"forward f32", FORWARD, MK_LAYOUT_F32, MK_ACTIVATION_F32, false, CEILING_F32},
        {"prefill q4_0", FORWARD, MK_LAYOUT_Q4_0, MK_ACTIVATION_INT8, true, CEILING_INT8},
        {"prefill q4_1", FORWARD, MK_LAYOUT_Q4_1, MK_ACTIVATION_INT8, true, CEILING_INT8},
        {"prefill q5_0", FORWARD, MK_LAYOUT_Q5_0, MK_ACTIVATION_INT8, true, CEILING_INT8},
        {"prefill q8_0", FORWARD, MK_LAYOUT_Q8_0, MK_ACTIVATION_INT8, true, CEILING_INT8},
        {"prefill q4_k", FORWARD, MK_LAYOUT_Q4_K, MK_ACTIVATION_INT8, true, CEILING_INT8},
        {"prefill q6_k", FORWARD, MK_LAYOUT_Q6_K, MK_ACTIVATION_INT8, true, CEILING_INT8},
        {"exact q4_0", FORWARD, MK_LAYOUT_Q4_0, MK_ACTIVATION_BF16, true, CEILING_BF16},
        {"exact q4_k", FORWARD, MK_LAYOUT_Q4_K, MK_ACTIVATION_BF16, true, CEILING_BF16},
        {"backward q4_0", BACKWARD, MK_LAYOUT_Q4_0, MK_ACTIVATION_BF16, true, CEILING_BF16},
        {"backward q4_k", BACKWARD, MK_LAYOUT_Q4_K, MK_ACTIVATION_BF16, true, CEILING_BF16},
    };
    static const shape products[] = {{512, 4864, 896}, {512, 896, 4864}, {512, 896, 896}, {512, 4096, 4096}, {64, 4864, 896}};
    static const subject decoders[] = {
        {"decode f32", FORWARD, MK_LAYOUT_F32, MK_ACTIVATION_F32, false, CEILING_READ},
        {"decode f16", FORWARD, MK_LAYOUT_F16, MK_ACTIVATION_F32, false, CEILING_READ},
        {"decode bf16", FORWARD, MK_LAYOUT_BF16, MK_ACTIVATION_BF16, false, CEILING_READ},
        {"decode q4_0", FORWARD, MK_LAYOUT_Q4_0, MK_ACTIVATION_INT8, true, CEILING_READ},
        {"decode q4_1", FORWARD, MK_LAYOUT_Q4_1, MK_ACTIVATION_INT8, true, CEILING_READ},
        {"decode q5_0", FORWARD, MK_LAYOUT_Q5_0, MK_ACTIVATION_INT8, true, CEILING_READ},
        {"decode q8_0", FORWARD, MK_LAYOUT_Q8_0, MK_ACTIVATION_INT8, true, CEILING_READ},
        {"decode q4_k", FORWARD, MK_LAYOUT_Q4_K, MK_ACTIVATION_INT8, true, CEILING_READ},
        {"decode q6_k", FORWARD, MK_LAYOUT_Q6_K, MK_ACTIVATION_INT8, true, CEILING_READ},
    };
    static const shape streams[] = {{1, 4864, 896}, {1, 896, 4864}, {1, 4096, 4096}, {4, 4096, 4096}, {8, 4096, 4096}};
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
        for (size_t j = 0; j < sizeof products / sizeof *products; j++)
            if (strstr(subjects[i].name, filter)) bench(&subjects[i], products[j], &pool);
    for (size_t i = 0; i < sizeof decoders / sizeof *decoders; i++)
        for (size_t j = 0; j < sizeof streams / sizeof *streams; j++)
            if (strstr(decoders[i].name, filter)) bench(&decoders[i], streams[j], &pool);
    bench_pool_stop(&pool);
    return 0;
}
