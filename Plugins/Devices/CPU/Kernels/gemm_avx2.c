// Micro-kernel of 6 rows by 16 columns: 12 sums, two vectors of B and a broadcast in 16 registers.
#include "gemm_internal.h"

#if defined(__x86_64__)

enum { rows_high = 6, vector = 8 };

MK_INLINE MK_AVX2 void body(const int rows, size_t steps, const float *left, const float *right, __m256 sum[rows_high][2]) {
    MK_UNROLL
    for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = _mm256_setzero_ps();
    for (size_t s = 0; s < steps; s++, left += rows_high, right += 2 * vector) {
        __m256 r0 = _mm256_loadu_ps(right), r1 = _mm256_loadu_ps(right + vector);
        MK_UNROLL
        for (int i = 0; i < rows; i++) {
            __m256 l = _mm256_broadcast_ss(left + i);
            sum[i][0] = _mm256_fmadd_ps(l, r0, sum[i][0]);
            sum[i][1] = _mm256_fmadd_ps(l, r1, sum[i][1]);
        }
    }
}

#define ONE(m)                                                                                    \
    MK_AVX2 static void sums_##m(size_t steps, const float *a, const float *b, float *to) {       \
        __m256 sum[rows_high][2];                                                                 \
        body(m, steps, a, b, sum);                                                                \
        MK_UNROLL                                                                                 \
        for (int i = 0; i < m; i++) {                                                             \
            _mm256_storeu_ps(to + 2 * i * vector, sum[i][0]);                                     \
            _mm256_storeu_ps(to + (2 * i + 1) * vector, sum[i][1]);                               \
        }                                                                                         \
    }
ONE(1) ONE(2) ONE(3) ONE(4) ONE(5) ONE(6)

MK_AVX2 static void kernel(size_t steps, const void *a, const void *b, float *c, size_t ldc, size_t m, size_t n, float alpha,
                           float beta, const float *bias) {
    static void (*const table[rows_high])(size_t, const float *, const float *, float *) = {sums_1, sums_2, sums_3,
                                                                                            sums_4, sums_5, sums_6};
    float sums[rows_high * 2 * vector];
    table[m - 1](steps, a, b, sums);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            float *to = c + i * ldc + j;
            *to = alpha * sums[i * 2 * vector + j] + ((beta == 0 ? 0 : beta * *to) + (bias ? bias[j] : 0));
        }
}

MK_AVX2 static void pack_k(const float *source, size_t ld, size_t lanes, size_t k, size_t width, void *packed) {
    float *to = packed;
    for (size_t lane = 0; lane < width; lane++)
        for (size_t s = 0; s < k; s++) to[s * width + lane] = lane < lanes ? source[lane * ld + s] : 0;
}

MK_AVX2 static void pack_lane(const float *source, size_t ld, size_t lanes, size_t k, size_t width, void *packed) {
    float *to = packed;
    for (size_t s = 0; s < k; s++, to += width, source += ld) {
        for (size_t lane = 0; lane < lanes; lane++) to[lane] = source[lane];
        for (size_t lane = lanes; lane < width; lane++) to[lane] = 0;
    }
}

const gemm_tile gemm_avx2_f32 = {
    .mr = rows_high, .nr = 2 * vector, .pair = 1, .depth = 256, .lane_bytes = 4,
    .kernel = kernel, .pack_k = pack_k, .pack_lane = pack_lane,
};

#endif
