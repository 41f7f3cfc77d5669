// Vector arithmetic and elementary functions, compiled once a target by simd_targets.h (no include guard on purpose).
// Polynomials were fitted with a weighted Chebyshev least-squares iteration over the reduced ranges; the error bounds stated are
// against correctly rounded values and are tested over every exponent.

#define vfma MK_F(vfma)
#define vselect MK_F(vselect)
#define vmax MK_F(vmax)
#define vmin MK_F(vmin)
#define vabs MK_F(vabs)
#define vsqrt MK_F(vsqrt)
#define vfloor MK_F(vfloor)
#define vsum MK_F(vsum)
#define vmaximum MK_F(vmaximum)
#define vload_bf16 MK_F(vload_bf16)
#define vstore_bf16 MK_F(vstore_bf16)
#define vround_bf16 MK_F(vround_bf16)
#define vload_f16 MK_F(vload_f16)
#define vload_part MK_F(vload_part)
#define vstore_part MK_F(vstore_part)
#define vexp MK_F(vexp)
#define vexp2_coarse MK_F(vexp2_coarse)
#define vlog MK_F(vlog)
#define vlog1p_unit MK_F(vlog1p_unit)
#define vtanh MK_F(vtanh)
#define vsigmoid MK_F(vsigmoid)
#define verfc_positive MK_F(verfc_positive)
#define verf MK_F(verf)
#define vsincos MK_F(vsincos)
#define vtranspose MK_F(vtranspose)

#if MK_LANES > 4 || defined(__aarch64__)
MK_INLINE vf vfma(vf a, vf b, vf c) { return __builtin_elementwise_fma(a, b, c); }
#else
MK_INLINE vf vfma(vf a, vf b, vf c) { return a * b + c; }
#endif

/// a where the mask is all ones, else b.
MK_INLINE vf vselect(vi mask, vf a, vf b) { return vfloat((mask & vbits(a)) | (~mask & vbits(b))); }

/// The second operand where either is NaN, as x86 does it.
MK_INLINE vf vmax(vf a, vf b) { return vselect(a > b, a, b); }
MK_INLINE vf vmin(vf a, vf b) { return vselect(a < b, a, b); }
MK_INLINE vf vabs(vf a) { return vfloat(vbits(a) & 0x7fffffff); }
MK_INLINE vf vsqrt(vf a) { return __builtin_elementwise_sqrt(a); }
MK_INLINE vf vfloor(vf a) { return __builtin_elementwise_floor(a); }

/// The sum of the lanes, added pairwise in a fixed order.
MK_INLINE float vsum(vf a) {
    typedef float v8 __attribute__((vector_size(32)));
    typedef float v4 __attribute__((vector_size(16)));
    v8 b = __builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7) + __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15);
    v4 c = __builtin_shufflevector(b, b, 0, 1, 2, 3) + __builtin_shufflevector(b, b, 4, 5, 6, 7);
    return (c[0] + c[2]) + (c[1] + c[3]);
}

MK_INLINE float vmaximum(vf a) {
    vf b = vmax(a, __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    b = vmax(b, __builtin_shufflevector(b, b, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3));
    b = vmax(b, __builtin_shufflevector(b, b, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1));
    return b[0] > b[1] ? b[0] : b[1];
}

MK_INLINE vf vload_bf16(const void *p) {
    vh half = *(const vh_any *)p;
    return vfloat(__builtin_convertvector(half, vu) << 16);
}

/// The bits of the nearest bf16, ties to even, in the upper half of each lane; NaN stays quiet NaN.
MK_INLINE vu vround_bf16(vf x) {
    vu bits = (vu)x;
    vu rounded = bits + 0x7fff + ((bits >> 16) & 1);
    vi nan = (vi)(x != x);
    return ((vu)nan & (bits | 0x400000)) | (~(vu)nan & rounded);
}

MK_INLINE void vstore_bf16(void *p, vf x) { *(vh_any *)p = __builtin_convertvector(vround_bf16(x) >> 16, vh); }

MK_INLINE vf vload_f16(const void *p) {
#if MK_LANES == 16
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif MK_LANES == 8
    typedef float v8 __attribute__((vector_size(32)));
    v8 low = (v8)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
    v8 high = (v8)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p + 1));
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#else
    vf x;
    for (int i = 0; i < VF; i++) x[i] = mk_f16_to_f32(((const uint16_t *)p)[i]);
    return x;
#endif
}

/// The first `n` floats (n < 16), the rest `fill`.
MK_INLINE vf vload_part(const float *p, size_t n, float fill) {
#if MK_LANES == 16
    return (vf)_mm512_mask_loadu_ps((__m512)vset(fill), (__mmask16)((1u << n) - 1), p);
#else
    float lanes[VF];
    for (size_t i = 0; i < VF; i++) lanes[i] = fill;
    memcpy(lanes, p, n * sizeof(float));
    return vload(lanes);
#endif
}

MK_INLINE void vstore_part(float *p, size_t n, vf x) {
#if MK_LANES == 16
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)x);
#else
    float lanes[VF];
    vstore(lanes, x);
    memcpy(p, lanes, n * sizeof(float));
#endif
}

// Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the sum.
#define MK_ROUNDER 12582912.0f

/// e^x, within 2 units of the last place; 0 below -104, infinity above 88.73, NaN stays.
MK_INLINE vf vexp(vf x) {
    x = vmin(vset(89.0f), vmax(vset(-105.0f), x));
    vf shifted = vfma(x, vset(1.44269504f), vset(MK_ROUNDER));
    vf n = shifted - MK_ROUNDER;
    vf r = vfma(n, vset(-0.693145752f), x);
    r = vfma(n, vset(-1.42860677e-6f), r);
    vf p = vset(1.394112245e-03f);
    p = vfma(p, r, vset(8.363180794e-03f));
    p = vfma(p, r, vset(4.166637361e-02f));
    p = vfma(p, r, vset(1.666657627e-01f));
    p = vfma(p, r, vset(5.000000000e-01f));
    p = vfma(p, r * r, r) + 1.0f;
#if MK_LANES == 16
    return (vf)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    // 2^n in two factors, so that results near the ends of the range neither overflow nor flush early.
    vi whole = vbits(shifted) - vbits(vset(MK_ROUNDER)), half = whole >> 1;
    return p * vfloat((half + 127) << 23) * vfloat((whole - half + 127) << 23);
#endif
}

/// 2^x for x <= 0 to 4e-6 relative, enough where the result is rounded to bf16; 0 below -126.
MK_INLINE vf vexp2_coarse(vf x) {
#if MK_LANES == 16
    vf n = (vf)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    x = vmax(x, vset(-127.0f));
    vf shifted = x + MK_ROUNDER, n = shifted - MK_ROUNDER;
#endif
    vf r = x - n;
    vf p = vset(9.676041082e-03f);
    p = vfma(p, r, vset(5.583833158e-02f));
    p = vfma(p, r, vset(2.402216792e-01f));
    p = vfma(p, r, vset(6.931367517e-01f));
    p = vfma(p, r, vset(1.0f));
#if MK_LANES == 16
    // x = -infinity gives r = NaN; the maskz form turns those lanes into 0.
    return (vf)_mm512_maskz_scalef_ps(_mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(-127.0f), _CMP_GT_OQ), (__m512)p, (__m512)n);
#else
    return p * vfloat((vbits(shifted) - vbits(vset(MK_ROUNDER)) + 127) << 23);
#endif
}

/// The natural logarithm within 2 units of the last place; -infinity at 0, NaN below.
MK_INLINE vf vlog(vf x) {
    vi tiny = x < 0x1p-126f;
    vf y = vselect(tiny, x * 0x1p23f, x);
    vi bits = vbits(y);
    // The exponent that puts the mantissa in [sqrt(1/2), sqrt(2)).
    vi exponent = (bits - 0x3f3504f3) >> 23;
    vf n = __builtin_convertvector(exponent, vf) - vselect(tiny, vset(23.0f), vset(0.0f));
    vf f = vfloat(bits - (exponent << 23)) - 1.0f;
    vf p = vset(-7.859592140e-02f);
    p = vfma(p, f, vset(1.288163960e-01f));
    p = vfma(p, f, vset(-1.312875897e-01f));
    p = vfma(p, f, vset(1.418119371e-01f));
    p = vfma(p, f, vset(-1.662455350e-01f));
    p = vfma(p, f, vset(2.000228614e-01f));
    p = vfma(p, f, vset(-2.500081062e-01f));
    p = vfma(p, f, vset(3.333331645e-01f));
    vf square = f * f;
    vf tail = vfma(p * f, square, vset(-0.5f) * square);
    tail = vfma(n, vset(1.42860677e-6f), tail);
    vf result = vfma(n, vset(0.693145752f), f + tail);
    vf infinity = vset(__builtin_inff());
    result = vselect(x == infinity, infinity, result);
    result = vselect(x == 0.0f, -infinity, result);
    return vselect((x >= 0.0f), result, vset(__builtin_nanf("")));
}

/// log(1 + u) for u in [0, 1]: the rounding of 1 + u is put back to first order.
MK_INLINE vf vlog1p_unit(vf u) {
    vf w = 1.0f + u;
    return vlog(w) + (u - (w - 1.0f)) / w;
}

MK_INLINE vf vtanh(vf x) {
    vf a = vabs(x), z = x * x;
    vf p = vset(2.298941370e-03f);
    p = vfma(p, z, vset(-8.350008167e-03f));
    p = vfma(p, z, vset(2.177099511e-02f));
    p = vfma(p, z, vset(-5.395954847e-02f));
    p = vfma(p, z, vset(1.333330572e-01f));
    p = vfma(p, z, vset(-3.333333433e-01f));
    vf small = vfma(p * z, x, x);
    vf large = 1.0f - 2.0f / (vexp(a + a) + 1.0f);
    large = vfloat(vbits(large) | (vbits(x) & (int32_t)0x80000000));
    return vselect(a < 0.625f, small, vselect(x == x, large, x));
}

MK_INLINE vf vsigmoid(vf x) { return 1.0f / (1.0f + vexp(-x)); }

/// erfc(x) for x >= 0 = exp(-x^2) t P(t) with t = 1 / (1 + 0.4 x); relative error below 1e-6 up to x = 9.
MK_INLINE vf verfc_positive(vf x) {
    vf t = 1.0f / vfma(x, vset(0.4f), vset(1.0f));
    vf p = vset(-3.093745746e-02f);
    p = vfma(p, t, vset(2.048792690e-01f));
    p = vfma(p, t, vset(-5.138772130e-01f));
    p = vfma(p, t, vset(5.659893751e-01f));
    p = vfma(p, t, vset(-2.984406650e-01f));
    p = vfma(p, t, vset(2.788533568e-01f));
    p = vfma(p, t, vset(1.276095957e-01f));
    p = vfma(p, t, vset(2.153018713e-01f));
    p = vfma(p, t, vset(2.249133438e-01f));
    p = vfma(p, t, vset(2.257085294e-01f));
    return vexp(-(x * x)) * t * p;
}

MK_INLINE vf verf(vf x) {
    vf a = vabs(x), z = x * x;
    vf p = vset(-9.680138646e-06f);
    p = vfma(p, z, vset(1.127054566e-04f));
    p = vfma(p, z, vset(-8.484711288e-04f));
    p = vfma(p, z, vset(5.221074913e-03f));
    p = vfma(p, z, vset(-2.686544508e-02f));
    p = vfma(p, z, vset(1.128378287e-01f));
    p = vfma(p, z, vset(-3.761263788e-01f));
    p = vfma(p, z, vset(1.128379226e+00f));
    vf large = 1.0f - verfc_positive(vmin(a, vset(6.0f)));
    large = vfloat(vbits(large) | (vbits(x) & (int32_t)0x80000000));
    return vselect(a < 1.0f, x * p, vselect(x == x, large, x));
}

/// sin and cos, reduced in double precision so that angles up to 2^30 keep all of their bits.
MK_INLINE void vsincos(vd wide, vf *sine, vf *cosine) {
    const double rounder = 6755399441055744.0;  // 1.5 * 2^52
    vd n = wide * 0.63661977236758134 + rounder;
    n -= rounder;
    vf r = __builtin_convertvector(wide - n * 1.5707963267948966 - n * 6.123233995736766e-17, vf);
    vi quadrant = __builtin_convertvector(n, vi);
    vf z = r * r;
    vf s = vset(2.725000058e-06f);
    s = vfma(s, z, vset(-1.984008704e-04f));
    s = vfma(s, z, vset(8.333331905e-03f));
    s = vfma(s, z, vset(-1.666666716e-01f));
    s = vfma(s * z, r, r);
    vf c = vset(-2.730101301e-07f);
    c = vfma(c, z, vset(2.480060175e-05f));
    c = vfma(c, z, vset(-1.388888806e-03f));
    c = vfma(c, z, vset(4.166666791e-02f));
    c = vfma(c * z, z, vfma(z, vset(-0.5f), vset(1.0f)));
    vi odd = (quadrant & 1) != 0;
    vf sin_value = vselect(odd, c, s), cos_value = vselect(odd, s, c);
    *sine = vfloat(vbits(sin_value) ^ ((quadrant & 2) << 30));
    *cosine = vfloat(vbits(cos_value) ^ (((quadrant + 1) & 2) << 30));
}

/// Turns 16 rows of 16 lanes into 16 columns, by exchanging halves, quarters, pairs and neighbours.
MK_INLINE void vtranspose(vf row[16]) {
#define EXCHANGE(distance, low, high)                                   \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 16; i++) if (!(i & (distance))) { \
        vf a = row[i], b = row[i + (distance)];                         \
        row[i] = __builtin_shufflevector(a, b, low);                    \
        row[i + (distance)] = __builtin_shufflevector(a, b, high);      \
    }
#define PICK(...) __VA_ARGS__
    EXCHANGE(8, PICK(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23), PICK(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
    EXCHANGE(4, PICK(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27), PICK(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
    EXCHANGE(2, PICK(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29), PICK(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
    EXCHANGE(1, PICK(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30), PICK(1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
#undef EXCHANGE
#undef PICK
}
