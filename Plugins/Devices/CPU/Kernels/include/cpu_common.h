// What every CPU kernel shares: the pool that runs its tiles, the processor's features, scratch arithmetic, and the 16-bit floats.
//
// Rules for kernels in this module:
// - Pointers belong to the caller; a kernel allocates nothing. Scratch is sized by a `*_scratch_bytes` function and passed in.
// - Work is cut into tiles whose bounds depend on shapes alone, so any number of threads gives the same bits.
// - Matrices are row-major; strides ("ld") count elements between the starts of rows.
#ifndef MARTLET_CPU_COMMON_H
#define MARTLET_CPU_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Threads lent by the host. `body` runs once for each index in 0..<count; `thread` < `threads` selects scratch.
typedef struct mk_pool {
    void *ctx;
    size_t threads;
    void (*parallel_for)(void *ctx, size_t count, void (*body)(void *arg, size_t index, size_t thread), void *arg);
} mk_pool;

/// Runs `body` for each index on the pool; a null pool, or one thread, or one index, runs on the caller.
static inline void mk_parallel(const mk_pool *pool, size_t count, void (*body)(void *arg, size_t index, size_t thread), void *arg) {
    if (pool && pool->parallel_for && pool->threads > 1 && count > 1) {
        pool->parallel_for(pool->ctx, count, body, arg);
        return;
    }
    for (size_t index = 0; index < count; index++) body(arg, index, 0);
}

static inline size_t mk_threads(const mk_pool *pool) {
    return pool && pool->parallel_for && pool->threads > 1 ? pool->threads : 1;
}

/// Instruction sets with kernels of their own, each containing the ones before it (NEON apart).
typedef enum mk_level {
    MK_LEVEL_PORTABLE = 0,
    MK_LEVEL_NEON = 1,
    MK_LEVEL_AVX2 = 2,        // AVX2, FMA, F16C
    MK_LEVEL_AVX512 = 3,      // F, BW, VL, DQ
    MK_LEVEL_AVX512_DOT = 4,  // and BF16, VNNI
} mk_level;

/// The level of kernels called from this thread: the processor's best, or what `mk_limit_level` left. A kernel asks once, on the
/// caller's thread, and hands what it chose to its tiles.
mk_level mk_current_level(void);

/// Limits the level of kernels called from this thread, for tests and comparisons; never above the processor's. Returns the level.
mk_level mk_limit_level(mk_level most);

/// "AVX-512 BF16 VNNI", "AVX2" … for messages and benchmarks.
const char *mk_level_name(mk_level level);

// MARK: Scratch

#define MK_ALIGN 64

/// Rounds a byte count up to the alignment of scratch.
static inline size_t mk_align_up(size_t bytes) { return (bytes + (MK_ALIGN - 1)) & ~(size_t)(MK_ALIGN - 1); }

/// Cuts `bytes` off the front of a scratch area and moves the cursor to the next aligned address.
static inline void *mk_take(uint8_t **cursor, size_t bytes) {
    uintptr_t at = ((uintptr_t)*cursor + (MK_ALIGN - 1)) & ~(uintptr_t)(MK_ALIGN - 1);
    *cursor = (uint8_t *)(at + bytes);
    return (void *)at;
}

static inline size_t mk_min(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t mk_max(size_t a, size_t b) { return a > b ? a : b; }
static inline size_t mk_ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

// MARK: Memory in 2 MiB pages

/// Anonymous zeroed memory, 2 MiB aligned, in huge pages where the system gives them; NULL if there is none.
void *mk_huge_alloc(size_t bytes);

/// Gives back what `mk_huge_alloc` returned for the same `bytes`.
void mk_huge_free(void *memory, size_t bytes);

/// Copies on all threads of the pool.
void mk_parallel_copy(const mk_pool *pool, void *to, const void *from, size_t bytes);

// MARK: 16-bit floats

static inline float mk_float_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t mk_float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float mk_bf16_to_f32(uint16_t half) { return mk_float_from_bits((uint32_t)half << 16); }

/// Rounds to nearest, ties to even; a NaN stays a quiet NaN.
static inline uint16_t mk_f32_to_bf16(float value) {
    uint32_t bits = mk_float_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((bits >> 16) | 0x40u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static inline float mk_f16_to_f32(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, exponent = (half >> 10) & 0x1fu, mantissa = half & 0x3ffu;
    if (exponent == 31) return mk_float_from_bits(sign | 0x7f800000u | (mantissa << 13));
    if (exponent) return mk_float_from_bits(sign | ((exponent + 112) << 23) | (mantissa << 13));
    float value = (float)mantissa * 0x1p-24f;  // subnormal, exact
    return sign ? -value : value;
}

/// Rounds to nearest, ties to even; overflow gives infinity.
static inline uint16_t mk_f32_to_f16(float value) {
    uint32_t bits = mk_float_bits(value), sign = (bits >> 16) & 0x8000u;
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (bits >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u);
    if (bits < 0x38800000u) {
        // Adding 0.5 puts the subnormal's last place at the float's last place, so the addition rounds it.
        uint32_t rounded = mk_float_bits(mk_float_from_bits(bits) + 0.5f) - mk_float_bits(0.5f);
        return (uint16_t)(sign | rounded);
    }
    bits += 0xfffu + ((bits >> 13) & 1u);
    return (uint16_t)(sign | ((bits - 0x38000000u) >> 13));
}

#ifdef __cplusplus
}
#endif

#endif
