// What the machine can do: reading from memory, and multiply-adds on registers alone.
#include "bench.h"

const char *const bench_ceiling_names[CEILING_COUNT] = {"read", "f32", "bf16", "int8"};

#if defined(__x86_64__)
#include <immintrin.h>

#define MK_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

static volatile float sink;

enum { read_chunk = 1 << 20, read_chunks = 512 };

static float *read_area(void) {
    static float *area;
    if (!area && (area = mk_huge_alloc((size_t)read_chunk * read_chunks)))
        for (size_t i = 0; i < (size_t)read_chunk * read_chunks / 4; i++) area[i] = 1;
    return area;
}

MK_AVX512 static void read_one(void *arg, size_t index, size_t thread) {
    (void)thread;
    const float *from = (const float *)arg + index * (read_chunk / 4);
    __m512 sum[8];
    for (int i = 0; i < 8; i++) sum[i] = _mm512_setzero_ps();
    for (size_t i = 0; i < read_chunk / 4; i += 128)
        for (int j = 0; j < 8; j++) sum[j] = _mm512_add_ps(sum[j], _mm512_load_ps(from + i + 16 * (size_t)j));
    for (int i = 1; i < 8; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    sink = _mm512_reduce_add_ps(sum[0]);
}

// Twelve independent sums hide the latency; assembler, so that the compiler adds nothing.
enum { rounds = 4000000 };
#define TWELVE(op)                                                                                                       \
    op " %%zmm15,%%zmm14,%%zmm0\n" op " %%zmm15,%%zmm14,%%zmm1\n" op " %%zmm15,%%zmm14,%%zmm2\n"                         \
    op " %%zmm15,%%zmm14,%%zmm3\n" op " %%zmm15,%%zmm14,%%zmm4\n" op " %%zmm15,%%zmm14,%%zmm5\n"                         \
    op " %%zmm15,%%zmm14,%%zmm6\n" op " %%zmm15,%%zmm14,%%zmm7\n" op " %%zmm15,%%zmm14,%%zmm8\n"                         \
    op " %%zmm15,%%zmm14,%%zmm9\n" op " %%zmm15,%%zmm14,%%zmm10\n" op " %%zmm15,%%zmm14,%%zmm11\n"
#define ZERO                                                                                                             \
    for (int i = 0; i < 1; i++)                                                                                          \
        __asm__ volatile("vpxord %%zmm14,%%zmm14,%%zmm14\nvpxord %%zmm15,%%zmm15,%%zmm15\n" ::: "xmm14", "xmm15");
#define CLOBBERS                                                                                                         \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm14", "xmm15"
#define PEAK(name, op)                                                                                                   \
    MK_AVX512 static void name(void *arg, size_t index, size_t thread) {                                                 \
        (void)arg, (void)index, (void)thread;                                                                            \
        ZERO for (int r = 0; r < rounds; r++) __asm__ volatile(TWELVE(op)::: CLOBBERS);                                  \
    }
PEAK(peak_f32, "vfmadd231ps")
PEAK(peak_bf16, "vdpbf16ps")
PEAK(peak_int8, "vpdpbusd")

double bench_measure(bench_ceiling ceiling, const mk_pool *pool) {
    static void (*const bodies[CEILING_COUNT])(void *, size_t, size_t) = {read_one, peak_f32, peak_bf16, peak_int8};
    static const double operations[CEILING_COUNT] = {0, 32, 64, 128};
    if (mk_current_level() < MK_LEVEL_AVX512_DOT) return 0;
    size_t count = ceiling == CEILING_READ ? (size_t)read_chunks : mk_threads(pool) * 2;
    void *arg = ceiling == CEILING_READ ? read_area() : NULL;
    double each = ceiling == CEILING_READ ? (double)read_chunk : operations[ceiling] * 12.0 * rounds;
    double start = bench_now();
    mk_parallel(pool, count, bodies[ceiling], arg);
    return each * (double)count / (bench_now() - start) * 1e-9;
}

#else

double bench_measure(bench_ceiling ceiling, const mk_pool *pool) {
    (void)ceiling, (void)pool;
    return 0;
}

#endif
