// The tile in plain C: any processor, and the reading example for the others.
#include "gemm_internal.h"

enum { rows = 4, lanes_wide = 8 };

static void kernel(size_t steps, const void *a, const void *b, float *c, size_t ldc, size_t m, size_t n, float alpha,
                   float beta, const float *bias) {
    const float *left = a, *right = b;
    float sum[rows][lanes_wide] = {{0}};
    for (size_t s = 0; s < steps; s++, left += rows, right += lanes_wide)
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < lanes_wide; j++) sum[i][j] += left[i] * right[j];
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            float before = (beta == 0 ? 0 : beta * c[i * ldc + j]) + (bias ? bias[j] : 0);
            c[i * ldc + j] = alpha * sum[i][j] + before;
        }
}

static void pack_k(const float *source, size_t ld, size_t lanes, size_t k, size_t width, void *packed) {
    float *to = packed;
    for (size_t s = 0; s < k; s++, to += width)
        for (size_t lane = 0; lane < width; lane++) to[lane] = lane < lanes ? source[lane * ld + s] : 0;
}

static void pack_lane(const float *source, size_t ld, size_t lanes, size_t k, size_t width, void *packed) {
    float *to = packed;
    for (size_t s = 0; s < k; s++, to += width, source += ld) {
        memcpy(to, source, lanes * sizeof(float));
        for (size_t lane = lanes; lane < width; lane++) to[lane] = 0;
    }
}

const gemm_tile gemm_portable_f32 = {
    .mr = rows, .nr = lanes_wide, .pair = 1, .depth = 256, .lane_bytes = 4,
    .kernel = kernel, .pack_k = pack_k, .pack_lane = pack_lane,
};
