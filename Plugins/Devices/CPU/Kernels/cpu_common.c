// The processor's level, found once, and memory in huge pages.
#define _GNU_SOURCE
#include "cpu_common.h"

#include <stdatomic.h>

#if defined(__x86_64__)
#include <cpuid.h>

// XCR0 says which registers the system saves: without its bits a feature of the processor must not be used.
static uint64_t saved_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
}

static mk_level detect(void) {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return MK_LEVEL_PORTABLE;
    const uint32_t fma = 1u << 12, osxsave = 1u << 27, f16c = 1u << 29;
    if ((c & (fma | osxsave | f16c)) != (fma | osxsave | f16c)) return MK_LEVEL_PORTABLE;
    uint64_t saved = saved_registers();
    uint32_t b7, c7;
    if ((saved & 0x6) != 0x6 || !__get_cpuid_count(7, 0, &a, &b7, &c7, &d)) return MK_LEVEL_PORTABLE;
    if (!(b7 & (1u << 5))) return MK_LEVEL_PORTABLE;  // AVX2
    const uint32_t f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31;
    if ((saved & 0xe6) != 0xe6 || (b7 & (f | dq | bw | vl)) != (f | dq | bw | vl)) return MK_LEVEL_AVX2;
    bool vnni = c7 & (1u << 11);
    bool bf16 = __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 5));
    return vnni && bf16 ? MK_LEVEL_AVX512_DOT : MK_LEVEL_AVX512;
}
#elif defined(__aarch64__)
static mk_level detect(void) { return MK_LEVEL_NEON; }
#else
static mk_level detect(void) { return MK_LEVEL_PORTABLE; }
#endif

static _Atomic int best = -1;
static _Thread_local mk_level limit = MK_LEVEL_AVX512_DOT;

static mk_level limited(mk_level level) {
    if (level <= limit) return level;
    return limit == MK_LEVEL_NEON ? MK_LEVEL_PORTABLE : limit;  // NEON is not below AVX2
}

mk_level mk_current_level(void) {
    int level = atomic_load_explicit(&best, memory_order_relaxed);
    if (level < 0) {
        level = detect();
        atomic_store_explicit(&best, level, memory_order_relaxed);
    }
    return limited((mk_level)level);
}

mk_level mk_limit_level(mk_level most) {
    limit = most;
    return mk_current_level();
}

const char *mk_level_name(mk_level level) {
    switch (level) {
    case MK_LEVEL_NEON: return "NEON";
    case MK_LEVEL_AVX2: return "AVX2";
    case MK_LEVEL_AVX512: return "AVX-512";
    case MK_LEVEL_AVX512_DOT: return "AVX-512 BF16 VNNI";
    default: return "portable";
    }
}
