// Compiles the file named by MK_BODY once for each instruction set, with MK_F(name) giving each copy a name of its own.
// The portable copy is the same C without any target attribute; on Arm it compiles to NEON.
// MK_LANES is the number of floats in a register; MK_DOT is defined in the copy that multiplies bf16 pairs.
#include "simd_types.h"

#define MK_TARGET portable
#define MK_LANES 4
#include "simd.h"
#include MK_BODY
#undef MK_TARGET
#undef MK_LANES

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define MK_TARGET avx2
#define MK_LANES 8
#include "simd.h"
#include MK_BODY
#undef MK_TARGET
#undef MK_LANES
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq"))), apply_to = function)
#define MK_TARGET avx512
#define MK_LANES 16
#include "simd.h"
#include MK_BODY
#undef MK_TARGET
#undef MK_LANES
#pragma clang attribute pop

// A file that defines MK_BODY_DOT is compiled once more, with the products of bf16 pairs.
#ifdef MK_BODY_DOT
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni"))), apply_to = function)
#define MK_TARGET dot
#define MK_LANES 16
#define MK_DOT 1
#include "simd.h"
#include MK_BODY
#undef MK_TARGET
#undef MK_LANES
#undef MK_DOT
#pragma clang attribute pop
#endif
#endif
#undef MK_BODY
