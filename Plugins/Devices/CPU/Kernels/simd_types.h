// One vector type for every instruction set: 16 floats. The compiler cuts it into what the target has
// (one zmm, two ymm, four NEON or SSE registers), so each kernel is written once. See simd_targets.h.
#ifndef MARTLET_SIMD_TYPES_H
#define MARTLET_SIMD_TYPES_H

#include "cpu_common.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Vectors never cross a call here (all helpers are inlined), so their calling convention is of no matter.
#pragma clang diagnostic ignored "-Wpsabi"

#define VF 16
typedef float vf __attribute__((vector_size(64)));
typedef int32_t vi __attribute__((vector_size(64)));
typedef uint32_t vu __attribute__((vector_size(64)));
typedef double vd __attribute__((vector_size(128)));
typedef float vf_any __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t vi_any __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t vh_any __attribute__((vector_size(32), aligned(2), may_alias));
typedef uint16_t vh __attribute__((vector_size(32)));

#define vload(p) ((vf)*(const vf_any *)(p))
#define vstore(p, v) (*(vf_any *)(p) = (v))
#define vload_i(p) ((vi)*(const vi_any *)(p))
#define vset(x) ((vf){} + (float)(x))
#define vset_i(x) ((vi){} + (int32_t)(x))
#define vbits(x) ((vi)(x))
#define vfloat(x) ((vf)(x))

#define MK_INLINE static inline __attribute__((always_inline, unused))

/// A function of a shared body that not every file with that body calls.
#define MK_LOCAL static __attribute__((noinline, unused))

/// A function or macro of the target that is being compiled.
#define MK_JOIN2(a, b) a##_##b
#define MK_JOIN(a, b) MK_JOIN2(a, b)
#define MK_F(name) MK_JOIN(name, MK_TARGET)

/// Picks the variant of a kernel for the processor at hand. The plain AVX-512 variants serve both AVX-512 levels.
#if defined(__x86_64__)
#define MK_PICK(name)                                                         \
    (mk_current_level() >= MK_LEVEL_AVX512 ? MK_JOIN2(name, avx512)           \
     : mk_current_level() == MK_LEVEL_AVX2 ? MK_JOIN2(name, avx2)             \
                                           : MK_JOIN2(name, portable))
/// The same for files with MK_BODY_DOT, whose bf16 variant is taken if `use_dot`, which implies MK_LEVEL_AVX512_DOT.
#define MK_PICK_DOT(name, use_dot) ((use_dot) ? MK_JOIN2(name, dot) : MK_PICK(name))
#else
#define MK_PICK(name) MK_JOIN2(name, portable)
#define MK_PICK_DOT(name, use_dot) ((void)(use_dot), MK_PICK(name))
#endif

#endif
