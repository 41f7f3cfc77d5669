// The tile loop and the instructions of elementwise programs, for one instruction set.

#define UNARY(expression)                                                  \
    {                                                                      \
        size_t i = 0;                                                      \
        for (; i + VF <= n; i += VF) {                                     \
            vf x = vload(a + i);                                           \
            vstore(to + i, expression);                                    \
        }                                                                  \
        if (i < n) {                                                       \
            vf x = vload_part(a + i, n - i, 1.0f);                         \
            vstore_part(to + i, n - i, expression);                        \
        }                                                                  \
        break;                                                             \
    }

#define BINARY(expression)                                                 \
    {                                                                      \
        size_t i = 0;                                                      \
        for (; i + VF <= n; i += VF) {                                     \
            vf x = vload(a + i), y = vload(b + i);                         \
            vstore(to + i, expression);                                    \
        }                                                                  \
        if (i < n) {                                                       \
            vf x = vload_part(a + i, n - i, 1.0f);                         \
            vf y = vload_part(b + i, n - i, 1.0f);                         \
            vstore_part(to + i, n - i, expression);                        \
        }                                                                  \
        break;                                                             \
    }

#define TERNARY(expression)                                                \
    {                                                                      \
        size_t i = 0;                                                      \
        for (; i + VF <= n; i += VF) {                                     \
            vf x = vload(a + i), y = vload(b + i), z = vload(c + i);       \
            vstore(to + i, expression);                                    \
        }                                                                  \
        if (i < n) {                                                       \
            vf x = vload_part(a + i, n - i, 1.0f);                         \
            vf y = vload_part(b + i, n - i, 1.0f);                         \
            vf z = vload_part(c + i, n - i, 1.0f);                         \
            vstore_part(to + i, n - i, expression);                        \
        }                                                                  \
        break;                                                             \
    }

MK_INLINE vf MK_F(one_where)(vi mask) { return vfloat(mask & 0x3f800000); }

MK_INLINE vf MK_F(softplus)(vf x) {
    vf positive = vselect(x > 0.0f, x, vset(0.0f));
    return vselect(x == x, positive + vlog1p_unit(vexp(-vabs(x))), x);
}

/// x Phi(x): by the complementary error function of |x|, so that the far negative side keeps its relative accuracy.
MK_INLINE vf MK_F(gelu)(vf x) {
    vf half_tail = 0.5f * verfc_positive(vabs(x) * 0.70710678f);
    return vselect(x > 0.0f, vfma(-x, half_tail, x), x * half_tail);
}

MK_INLINE vf MK_F(gelu_gradient)(vf x) {
    vf half_tail = 0.5f * verfc_positive(vabs(x) * 0.70710678f);
    vf phi = vexp(-0.5f * x * x) * 0.39894228f;
    return vfma(x, phi, vselect(x > 0.0f, 1.0f - half_tail, half_tail));
}

// 0.5 (1 + tanh(u)) = sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3).
MK_INLINE vf MK_F(gelu_tanh)(vf x) { return x * vsigmoid(1.5957691f * x * vfma(x * x, vset(0.044715f), vset(1.0f))); }

/// sigmoid(u) and its derivative, the latter without the cancellation of s (1 - s).
MK_INLINE void MK_F(sigmoid_slope)(vf u, vf *s, vf *slope) {
    vf e = vexp(-vabs(u)), r = 1.0f / (1.0f + e);
    *s = vselect(u > 0.0f, r, e * r);
    *slope = e * r * r;
}

MK_INLINE vf MK_F(gelu_tanh_gradient)(vf x) {
    vf square = x * x, s, slope;
    MK_F(sigmoid_slope)(1.5957691f * x * vfma(square, vset(0.044715f), vset(1.0f)), &s, &slope);
    return vfma(x * 1.5957691f * vfma(square, vset(0.134145f), vset(1.0f)), slope, s);
}

MK_INLINE vf MK_F(silu_gradient)(vf x) {
    vf s, slope;
    MK_F(sigmoid_slope)(x, &s, &slope);
    return vfma(x, slope, s);
}

MK_INLINE vf MK_F(sine)(vf x) {
    vf s, c;
    vsincos(__builtin_convertvector(x, vd), &s, &c);
    return s;
}

MK_INLINE vf MK_F(cosine)(vf x) {
    vf s, c;
    vsincos(__builtin_convertvector(x, vd), &s, &c);
    return c;
}

/// One instruction over a tile. Not inlined: 40 loops in one frame would cost registers and compile time for nothing.
static __attribute__((noinline)) void MK_F(ew_instruction)(uint8_t op, float *to, const float *a, const float *b, const float *c,
                                                           float value, size_t n) {
    switch (op) {
    case MK_EW_COPY: UNARY(x)
    case MK_EW_NEG: UNARY(-x)
    case MK_EW_EXP: UNARY(vexp(x))
    case MK_EW_LOG: UNARY(vlog(x))
    case MK_EW_SQRT: UNARY(vsqrt(x))
    case MK_EW_RSQRT: UNARY(1.0f / vsqrt(x))
    case MK_EW_RECIPROCAL: UNARY(1.0f / x)
    case MK_EW_ABS: UNARY(vabs(x))
    case MK_EW_SIGN: UNARY(vselect(x == x, MK_F(one_where)(x > 0.0f) - MK_F(one_where)(x < 0.0f), x))
    case MK_EW_SQUARE: UNARY(x * x)
    case MK_EW_TANH: UNARY(vtanh(x))
    case MK_EW_SIGMOID: UNARY(vsigmoid(x))
    case MK_EW_SILU: UNARY(x * vsigmoid(x))
    case MK_EW_GELU: UNARY(MK_F(gelu)(x))
    case MK_EW_GELU_TANH: UNARY(MK_F(gelu_tanh)(x))
    case MK_EW_QUICK_GELU: UNARY(x * vsigmoid(1.702f * x))
    case MK_EW_RELU: UNARY(vselect(x < 0.0f, vset(0.0f), x))
    case MK_EW_LOG_SIGMOID: UNARY(-MK_F(softplus)(-x))
    case MK_EW_SOFTPLUS: UNARY(MK_F(softplus)(x))
    case MK_EW_SIN: UNARY(MK_F(sine)(x))
    case MK_EW_COS: UNARY(MK_F(cosine)(x))
    case MK_EW_ERF: UNARY(verf(x))
    case MK_EW_FLOOR: UNARY(vfloor(x))
    case MK_EW_SCALE: UNARY(x * value)
    case MK_EW_ADD_SCALAR: UNARY(x + value)
    case MK_EW_CONSTANT:
        for (size_t i = 0; i < n; i++) to[i] = value;
        break;
    case MK_EW_ADD: BINARY(x + y)
    case MK_EW_SUB: BINARY(x - y)
    case MK_EW_MUL: BINARY(x * y)
    case MK_EW_DIV: BINARY(x / y)
    case MK_EW_POW:
        for (size_t i = 0; i < n; i++) to[i] = powf(a[i], b[i]);
        break;
    case MK_EW_MIN: BINARY(vselect(x == x, vmin(x, y), x))
    case MK_EW_MAX: BINARY(vselect(x == x, vmax(x, y), x))
    case MK_EW_LESS: BINARY(MK_F(one_where)(x < y))
    case MK_EW_EQUAL: BINARY(MK_F(one_where)(x == y))
    case MK_EW_FMA: TERNARY(vfma(x, y, z))
    case MK_EW_WHERE: TERNARY(vselect(x != 0.0f, y, z))
    case MK_EW_SILU_GRADIENT: BINARY(y * MK_F(silu_gradient)(x))
    case MK_EW_GELU_GRADIENT: BINARY(y * MK_F(gelu_gradient)(x))
    case MK_EW_GELU_TANH_GRADIENT: BINARY(y * MK_F(gelu_tanh_gradient)(x))
    default: break;
    }
}

MK_INLINE float MK_F(load_one)(const void *data, mk_dtype type, int64_t at) {
    switch (type) {
    case MK_DTYPE_F32: return ((const float *)data)[at];
    case MK_DTYPE_BF16: return mk_bf16_to_f32(((const uint16_t *)data)[at]);
    case MK_DTYPE_F16: return mk_f16_to_f32(((const uint16_t *)data)[at]);
    case MK_DTYPE_I32: return (float)((const int32_t *)data)[at];
    default: return (float)((const uint8_t *)data)[at];
    }
}

static void MK_F(ew_load_row)(float *to, const void *data, mk_dtype type, int64_t at, int64_t stride, size_t n) {
    if (stride == 0) {
        float value = MK_F(load_one)(data, type, at);
        for (size_t i = 0; i < n; i++) to[i] = value;
    } else if (stride == 1 && type == MK_DTYPE_F32) {
        memcpy(to, (const float *)data + at, n * sizeof(float));
    } else if (stride == 1 && type == MK_DTYPE_BF16) {
        const uint16_t *from = (const uint16_t *)data + at;
        size_t i = 0;
        for (; i + VF <= n; i += VF) vstore(to + i, vload_bf16(from + i));
        for (; i < n; i++) to[i] = mk_bf16_to_f32(from[i]);
    } else if (stride == 1 && type == MK_DTYPE_F16) {
        const uint16_t *from = (const uint16_t *)data + at;
        size_t i = 0;
        for (; i + VF <= n; i += VF) vstore(to + i, vload_f16(from + i));
        for (; i < n; i++) to[i] = mk_f16_to_f32(from[i]);
    } else {
        for (size_t i = 0; i < n; i++) to[i] = MK_F(load_one)(data, type, at + (int64_t)i * stride);
    }
}

MK_INLINE int32_t MK_F(saturated)(float x) {
    return x >= 2147483648.0f ? INT32_MAX : x > -2147483648.0f ? (int32_t)x : x != x ? 0 : INT32_MIN;
}

static void MK_F(ew_store_row)(const float *from, void *data, mk_dtype type, int64_t at, int64_t stride, size_t n, bool stream) {
    size_t i = 0;
    if (type == MK_DTYPE_F32 && stride == 1) {
        float *to = (float *)data + at;
        if (stream) {
            for (; i < n && ((uintptr_t)(to + i) & 63); i++) to[i] = from[i];
            for (; i + VF <= n; i += VF) __builtin_nontemporal_store(vload(from + i), (vf *)(to + i));
        }
        memcpy(to + i, from + i, (n - i) * sizeof(float));
        return;
    }
    if (type == MK_DTYPE_BF16 && stride == 1) {
        uint16_t *to = (uint16_t *)data + at;
        for (; i + VF <= n; i += VF) vstore_bf16(to + i, vload(from + i));
    }
    for (; i < n; i++) {
        int64_t index = at + (int64_t)i * stride;
        switch (type) {
        case MK_DTYPE_F32: ((float *)data)[index] = from[i]; break;
        case MK_DTYPE_BF16: ((uint16_t *)data)[index] = mk_f32_to_bf16(from[i]); break;
        case MK_DTYPE_F16: ((uint16_t *)data)[index] = mk_f32_to_f16(from[i]); break;
        case MK_DTYPE_I32: ((int32_t *)data)[index] = MK_F(saturated)(from[i]); break;
        default: {
            int32_t value = MK_F(saturated)(from[i]);
            ((uint8_t *)data)[index] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
        }
        }
    }
}

/// Where an operand's tile starts, in elements.
MK_INLINE int64_t MK_F(ew_start)(const mk_ew_plan *plan, const mk_ew_operand *operand, size_t outer, size_t row, size_t col) {
    int64_t at = 0;
    if (plan->rank > 0) at += (int64_t)col * operand->strides[plan->rank - 1];
    if (plan->rank > 1) at += (int64_t)row * operand->strides[plan->rank - 2];
    for (size_t d = plan->rank; d-- > 2;) {
        size_t extent = (size_t)plan->shape[d - 2];
        at += (int64_t)(outer % extent) * operand->strides[d - 2];
        outer /= extent;
    }
    return at;
}

static void MK_F(mk_ew_group)(void *arg, size_t group, size_t thread) {
    (void)thread;
    const mk_ew_plan *plan = arg;
    _Alignas(64) float memory[MK_EW_REGISTERS][MK_EW_TILE];
    const float *value_of[MK_EW_REGISTERS] = {0};
    int64_t loaded[MK_EW_REGISTERS];
    size_t loaded_count[MK_EW_REGISTERS];
    for (size_t i = 0; i < plan->input_count; i++) loaded[i] = INT64_MIN;
    size_t last = mk_min(plan->tiles, (group + 1) * MK_EW_GROUP);
    for (size_t tile = group * MK_EW_GROUP; tile < last; tile++) {
        size_t col = tile % plan->col_tiles * plan->tile_cols, rest = tile / plan->col_tiles;
        size_t row = rest % plan->row_tiles * plan->tile_rows, outer = rest / plan->row_tiles;
        size_t rows = mk_min(plan->tile_rows, plan->rows - row), cols = mk_min(plan->tile_cols, plan->cols - col);
        size_t count = rows * cols;
        for (size_t i = 0; i < plan->input_count; i++) {
            const mk_ew_operand *in = &plan->inputs[i];
            int64_t across = plan->rank > 0 ? in->strides[plan->rank - 1] : 0, down = plan->rank > 1 ? in->strides[plan->rank - 2] : 0;
            int64_t at = MK_F(ew_start)(plan, in, outer, row, col);
            bool dense = across == 1 && (rows == 1 || down == (int64_t)cols);
            if (dense && in->type == MK_DTYPE_F32) {
                value_of[in->reg] = (const float *)in->data + at;
                continue;
            }
            // Row vectors and scalars come again and again: what the register still holds need not be loaded again.
            bool kept = down == 0 && loaded[i] == at && loaded_count[i] == count && !((plan->overwritten >> in->reg) & 1);
            value_of[in->reg] = memory[in->reg];
            if (kept) continue;
            loaded[i] = at;
            loaded_count[i] = count;
            if (dense) {
                MK_F(ew_load_row)(memory[in->reg], in->data, in->type, at, 1, count);
                continue;
            }
            for (size_t r = 0; r < rows; r++)
                MK_F(ew_load_row)(memory[in->reg] + r * cols, in->data, in->type, at + (int64_t)r * down, across, cols);
        }
        bool done[MK_EW_REGISTERS] = {false};
        for (size_t i = 0; i < plan->code_count; i++) {
            mk_ew_instruction code = plan->code[i];
            float *to = memory[code.to];
            int16_t o = plan->direct[i];
            if (o >= 0) {
                const mk_ew_operand *out = &plan->outputs[o];
                int64_t across = plan->rank > 0 ? out->strides[plan->rank - 1] : 1, down = plan->rank > 1 ? out->strides[plan->rank - 2] : 0;
                if (across == 1 && (rows == 1 || down == (int64_t)cols)) {
                    to = (float *)out->data + MK_F(ew_start)(plan, out, outer, row, col);
                    done[o] = true;
                }
            }
            MK_F(ew_instruction)(code.op, to, value_of[code.a], value_of[code.b], value_of[code.c], code.value, count);
            value_of[code.to] = to;
        }
        for (size_t o = 0; o < plan->output_count; o++) {
            if (done[o]) continue;
            const mk_ew_operand *out = &plan->outputs[o];
            int64_t across = plan->rank > 0 ? out->strides[plan->rank - 1] : 1, down = plan->rank > 1 ? out->strides[plan->rank - 2] : 0;
            int64_t at = MK_F(ew_start)(plan, out, outer, row, col);
            for (size_t r = 0; r < rows; r++)
                MK_F(ew_store_row)(value_of[out->reg] + r * cols, out->data, out->type, at + (int64_t)r * down, across, cols, plan->stream);
        }
    }
#if defined(__x86_64__)
    if (plan->stream) _mm_sfence();
#endif
}

#undef UNARY
#undef BINARY
#undef TERNARY
