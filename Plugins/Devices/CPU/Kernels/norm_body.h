// Norms of a range of rows, for one instruction set. A row is read from memory once: its second reading finds it in the cache.

/// Runs `body` for i in steps of 16, the last step with n < 16 lanes when the width is no multiple.
#define EACH_VECTOR(width, body)                       \
    {                                                  \
        size_t i = 0, n = VF;                          \
        for (; i + VF <= (width); i += VF) body        \
        if (i < (width)) {                             \
            n = (width) - i;                           \
            body                                       \
        }                                              \
    }

/// The same with four sums at work: `lane` says which of them a step adds to, so that none waits for the one before it.
#define EACH_FOUR(width, body)                                    \
    {                                                             \
        size_t i = 0, n = VF;                                     \
        while (i + 4 * VF <= (width)) {                           \
            { enum { lane = 0 }; body } i += VF;                  \
            { enum { lane = 1 }; body } i += VF;                  \
            { enum { lane = 2 }; body } i += VF;                  \
            { enum { lane = 3 }; body } i += VF;                  \
        }                                                         \
        for (; i < (width); i += VF) {                            \
            n = mk_min(VF, (width) - i);                          \
            { enum { lane = 0 }; body }                           \
        }                                                         \
    }
#define TOTAL(s) vsum((s[0] + s[1]) + (s[2] + s[3]))
/// Asks for the next row while this one, which is in the cache, is worked on. Past the end a prefetch does nothing.
#define NEXT(p) __builtin_prefetch((p) + width + i)

MK_INLINE vf MK_F(get)(const float *p, size_t i, size_t n) { return n == VF ? vload(p + i) : vload_part(p + i, n, 0.0f); }
MK_INLINE void MK_F(put)(float *p, size_t i, size_t n, vf value) {
    if (n == VF) vstore(p + i, value);
    else vstore_part(p + i, n, value);
}
MK_INLINE void MK_F(put_result)(float *p, size_t i, size_t n, vf value, bool stream) {
    if (stream) __builtin_nontemporal_store(value, (vf *)(p + i));
    else MK_F(put)(p, i, n, value);
}
MK_INLINE void MK_F(finish_stream)(const norm_job *job) {
#if defined(__x86_64__)
    if (job->stream) _mm_sfence();
#else
    (void)job;
#endif
}
#define RESULT(p, value) MK_F(put_result)(p, i, n, value, job->stream)
#define GET(p) MK_F(get)(p, i, n)
#define PUT(p, value) MK_F(put)(p, i, n, value)

MK_INLINE float MK_F(square_sum)(const float *x, size_t width) {
    vf s[4] = {vset(0), vset(0), vset(0), vset(0)};
    EACH_FOUR(width, {
        vf v = GET(x);
        s[lane] = vfma(v, v, s[lane]);
    })
    return TOTAL(s);
}

static void MK_F(rms_rows)(void *arg, size_t index, size_t thread) {
    (void)thread;
    const norm_job *job = arg;
    size_t width = job->width, last = mk_min(job->rows, (index + 1) * job->rows_per_index);
    for (size_t row = index * job->rows_per_index; row < last; row++) {
        const float *x = job->x + row * width;
        float *y = job->y + row * width;
        if (job->residual) {
            const float *r = job->residual + row * width;
            float *sum = job->sum + row * width;
            EACH_VECTOR(width, { PUT(sum, GET(x) + GET(r)); })
            x = sum;
        }
        float inverse = 1.0f / sqrtf(MK_F(square_sum)(x, width) / (float)width + job->eps);
        EACH_VECTOR(width, {
            NEXT(x);
            RESULT(y, GET(x) * inverse * (GET(job->w) + job->offset));
        })
    }
    MK_F(finish_stream)(job);
}

/// Mean and 1 / standard deviation of a row, by two passes: the variance of values far from 0 keeps its digits.
MK_INLINE void MK_F(moments)(const float *x, size_t width, float eps, float *mean, float *inverse) {
    vf sums[4] = {vset(0), vset(0), vset(0), vset(0)}, squares[4] = {vset(0), vset(0), vset(0), vset(0)};
    EACH_FOUR(width, { sums[lane] += GET(x); })
    *mean = TOTAL(sums) / (float)width;
    vf centre = vset(*mean);
    EACH_FOUR(width, {
        vf d = (n == VF ? vload(x + i) : vload_part(x + i, n, *mean)) - centre;
        squares[lane] = vfma(d, d, squares[lane]);
    })
    *inverse = 1.0f / sqrtf(TOTAL(squares) / (float)width + eps);
}

static void MK_F(layer_rows)(void *arg, size_t index, size_t thread) {
    (void)thread;
    const norm_job *job = arg;
    size_t width = job->width, last = mk_min(job->rows, (index + 1) * job->rows_per_index);
    for (size_t row = index * job->rows_per_index; row < last; row++) {
        const float *x = job->x + row * width;
        float *y = job->y + row * width, mean, inverse;
        MK_F(moments)(x, width, job->eps, &mean, &inverse);
        EACH_VECTOR(width, {
            NEXT(x);
            vf value = (GET(x) - mean) * inverse;
            if (job->w) value *= GET(job->w);
            if (job->b) value += GET(job->b);
            RESULT(y, value);
        })
    }
    MK_F(finish_stream)(job);
}

/// dx = inverse * (g - xhat * mean(g * xhat)), g = dy * (offset + w), xhat = x * inverse; dw = sum of dy * xhat over rows.
static void MK_F(rms_backward_piece)(void *arg, size_t piece, size_t thread) {
    (void)thread;
    const norm_job *job = arg;
    size_t width = job->width, last = mk_min(job->rows, (piece + 1) * job->rows_per_index);
    float *dw = job->partial_w ? job->partial_w + piece * width : NULL;
    if (dw) memset(dw, 0, width * sizeof(float));
    for (size_t row = piece * job->rows_per_index; row < last; row++) {
        const float *x = job->x + row * width, *dy = job->dy + row * width;
        float inverse = 1.0f / sqrtf(MK_F(square_sum)(x, width) / (float)width + job->eps);
        vf products[4] = {vset(0), vset(0), vset(0), vset(0)};
        EACH_FOUR(width, {
            vf g = GET(dy);
            vf scaled = GET(x) * g;
            products[lane] = vfma(scaled, GET(job->w) + job->offset, products[lane]);
            if (dw) PUT(dw, vfma(scaled, vset(inverse), GET(dw)));
        })
        if (!job->dx) continue;
        float *dx = job->dx + row * width;
        float pull = TOTAL(products) / (float)width * inverse * inverse * inverse;
        EACH_VECTOR(width, {
            NEXT(x);
            NEXT(dy);
            RESULT(dx, GET(dy) * (GET(job->w) + job->offset) * inverse - GET(x) * pull);
        })
    }
    MK_F(finish_stream)(job);
}

/// dx = inverse * (g - mean(g) - xhat * mean(g * xhat)), g = dy * w; dw = sum of dy * xhat, db = sum of dy.
static void MK_F(layer_backward_piece)(void *arg, size_t piece, size_t thread) {
    (void)thread;
    const norm_job *job = arg;
    size_t width = job->width, last = mk_min(job->rows, (piece + 1) * job->rows_per_index);
    float *dw = job->partial_w ? job->partial_w + piece * width : NULL, *db = job->partial_b ? job->partial_b + piece * width : NULL;
    if (dw) memset(dw, 0, width * sizeof(float));
    if (db) memset(db, 0, width * sizeof(float));
    for (size_t row = piece * job->rows_per_index; row < last; row++) {
        const float *x = job->x + row * width, *dy = job->dy + row * width;
        float mean, inverse;
        MK_F(moments)(x, width, job->eps, &mean, &inverse);
        vf sum = vset(0), product = vset(0);
        EACH_VECTOR(width, {
            vf upstream = GET(dy);
            vf hat = (GET(x) - mean) * inverse;
            vf g = job->w ? upstream * GET(job->w) : upstream;
            sum += g;
            product = vfma(g, hat, product);
            if (dw) PUT(dw, vfma(upstream, hat, GET(dw)));
            if (db) PUT(db, upstream + GET(db));
        })
        if (!job->dx) continue;
        float *dx = job->dx + row * width;
        float mean_g = vsum(sum) / (float)width, mean_product = vsum(product) / (float)width;
        EACH_VECTOR(width, {
            vf hat = (GET(x) - mean) * inverse;
            vf g = job->w ? GET(dy) * GET(job->w) : GET(dy);
            RESULT(dx, inverse * (g - mean_g - hat * mean_product));
        })
    }
    MK_F(finish_stream)(job);
}

/// Adds the partial sums of all pieces, in order, for one range of columns.
static void MK_F(add_pieces)(void *arg, size_t index, size_t thread) {
    (void)thread;
    const norm_job *job = arg;
    size_t first = index * 256, count = mk_min(256, job->width - first);
    const float *partials[2] = {job->partial_w, job->partial_b};
    float *totals[2] = {job->dw, job->db};
    for (int k = 0; k < 2; k++) {
        if (!totals[k]) continue;
        float *total = totals[k] + first;
        memset(total, 0, count * sizeof(float));
        for (size_t piece = 0; piece < job->pieces; piece++) {
            const float *part = partials[k] + piece * job->width + first;
            EACH_VECTOR(count, { PUT(total, GET(total) + GET(part)); })
        }
    }
}

#undef EACH_VECTOR
#undef EACH_FOUR
#undef TOTAL
#undef NEXT
#undef GET
#undef PUT
#undef RESULT
