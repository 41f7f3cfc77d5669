#define _GNU_SOURCE
#include "ceilings.h"

#include <stdint.h>
#include <sys/mman.h>

enum { read_chunk = 1 << 20, read_chunks = 512 };

static volatile float sink;

/// 512 MiB of ones, in 2 MiB pages where the system gives them; NULL if there is no memory.
static float *read_area(void) {
    static float *area;
    if (area) return area;
    size_t page = (size_t)2 << 20, bytes = (size_t)read_chunk * read_chunks;
    uint8_t *memory = mmap(NULL, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    area = (float *)(((uintptr_t)memory + page - 1) & ~(uintptr_t)(page - 1));
    madvise(area, bytes, MADV_HUGEPAGE);
    for (size_t i = 0; i < bytes / sizeof *area; i++) area[i] = 1;
    return area;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

AVX512 static void read_one(void *argument, size_t index, size_t thread) {
    (void)thread;
    const float *from = (const float *)argument + index * (read_chunk / 4);
    __m512 sum[8];
    for (int i = 0; i < 8; i++) sum[i] = _mm512_setzero_ps();
    for (size_t i = 0; i < read_chunk / 4; i += 128)
        for (int j = 0; j < 8; j++) sum[j] = _mm512_add_ps(sum[j], _mm512_load_ps(from + i + 16 * (size_t)j));
    for (int i = 1; i < 8; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    sink = _mm512_reduce_add_ps(sum[0]);
}

// Twelve independent sums hide the latency; assembler, so that the compiler adds nothing.
enum { rounds = 2000000 };
#define TWELVE(op)                                                                                                       \
    op " %%zmm15,%%zmm14,%%zmm0\n" op " %%zmm15,%%zmm14,%%zmm1\n" op " %%zmm15,%%zmm14,%%zmm2\n"                         \
    op " %%zmm15,%%zmm14,%%zmm3\n" op " %%zmm15,%%zmm14,%%zmm4\n" op " %%zmm15,%%zmm14,%%zmm5\n"                         \
    op " %%zmm15,%%zmm14,%%zmm6\n" op " %%zmm15,%%zmm14,%%zmm7\n" op " %%zmm15,%%zmm14,%%zmm8\n"                         \
    op " %%zmm15,%%zmm14,%%zmm9\n" op " %%zmm15,%%zmm14,%%zmm10\n" op " %%zmm15,%%zmm14,%%zmm11\n"
#define ZERO __asm__ volatile("vpxord %%zmm14,%%zmm14,%%zmm14\nvpxord %%zmm15,%%zmm15,%%zmm15\n" ::: "xmm14", "xmm15");
#define CLOBBERS                                                                                                         \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm14", "xmm15"
#define PEAK(name, op)                                                                                                   \
    AVX512 static void name(void *argument, size_t index, size_t thread) {                                               \
        (void)argument, (void)index, (void)thread;                                                                       \
        ZERO for (int r = 0; r < rounds; r++) __asm__ volatile(TWELVE(op)::: CLOBBERS);                                  \
    }
PEAK(peak_f32, "vfmadd231ps")
PEAK(peak_bf16, "vdpbf16ps")
PEAK(peak_int8, "vpdpbusd")

bool martlet_ceiling_load(martlet_ceiling ceiling, size_t threads, martlet_load *out) {
    static void (*const bodies[])(void *, size_t, size_t) = {read_one, peak_f32, peak_bf16, peak_int8};
    static const double operations[] = {0, 32, 64, 128};
    if (!__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) return false;
    if (ceiling == MARTLET_CEILING_BF16 && !__builtin_cpu_supports("avx512bf16")) return false;
    if (ceiling == MARTLET_CEILING_INT8 && !__builtin_cpu_supports("avx512vnni")) return false;
    bool reads = ceiling == MARTLET_CEILING_READ;
    *out = (martlet_load){.body = bodies[ceiling], .argument = reads ? read_area() : NULL, .count = reads ? read_chunks : threads * 2};
    if (reads && !out->argument) return false;
    out->work = (reads ? (double)read_chunk : operations[ceiling] * 12.0 * rounds) * (double)out->count;
    return true;
}

#else

static void read_one(void *argument, size_t index, size_t thread) {
    (void)thread;
    const float *from = (const float *)argument + index * (read_chunk / 4);
    float sum[16] = {0};
    for (size_t i = 0; i < read_chunk / 4; i += 16)
        for (int j = 0; j < 16; j++) sum[j] += from[i + (size_t)j];
    sink = sum[0];
}

bool martlet_ceiling_load(martlet_ceiling ceiling, size_t threads, martlet_load *out) {
    (void)threads;
    if (ceiling != MARTLET_CEILING_READ || !read_area()) return false;
    *out = (martlet_load){.body = read_one, .argument = read_area(), .count = read_chunks, .work = (double)read_chunk * read_chunks};
    return true;
}

#endif
