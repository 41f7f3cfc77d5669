// Softmax and reductions of ranges of rows, for one instruction set.

MK_INLINE float MK_F(row_maximum)(const float *x, size_t n) {
    vf top[2] = {vset(-__builtin_inff()), vset(-__builtin_inff())};
    size_t i = 0;
    for (; i + 2 * VF <= n; i += 2 * VF) {
        top[0] = vmax(vload(x + i), top[0]);
        top[1] = vmax(vload(x + i + VF), top[1]);
    }
    for (; i + VF <= n; i += VF) top[0] = vmax(vload(x + i), top[0]);
    if (i < n) top[0] = vmax(vload_part(x + i, n - i, -__builtin_inff()), top[0]);
    return vmaximum(vmax(top[0], top[1]));
}

/// Sum of exp(x - largest); with `y`, the exponentials are stored there.
MK_INLINE float MK_F(row_exponentials)(const float *x, float *y, size_t n, float largest) {
    vf sum = vset(0);
    size_t i = 0;
    for (; i + VF <= n; i += VF) {
        vf e = vexp(vload(x + i) - largest);
        if (y) vstore(y + i, e);
        sum += e;
    }
    if (i < n) {
        vf e = vexp(vload_part(x + i, n - i, -__builtin_inff()) - largest);
        if (y) vstore_part(y + i, n - i, e);
        sum += e;
    }
    return vsum(sum);
}

/// y = x * factor + shift.
MK_INLINE void MK_F(row_affine)(const float *x, float *y, size_t n, float factor, float shift) {
    size_t i = 0;
    for (; i + VF <= n; i += VF) vstore(y + i, vload(x + i) * factor + shift);
    if (i < n) vstore_part(y + i, n - i, vload_part(x + i, n - i, 0) * factor + shift);
}

// A row of -infinity alone has no distribution: the maximum is replaced so that exponentials are 0, and softmax is NaN as 0 / 0 is.
MK_INLINE float MK_F(finite_base)(float largest) { return largest == -INFINITY ? 0 : largest; }

static void MK_F(softmax_rows)(void *arg, size_t index, size_t thread) {
    (void)thread;
    const reduce_job *job = arg;
    for (size_t row = index * job->rows_per_index; row < mk_min((index + 1) * job->rows_per_index, job->outer); row++) {
        const float *x = job->x + row * job->n;
        float *y = job->y + row * job->n, base = MK_F(finite_base)(MK_F(row_maximum)(x, job->n));
        if (job->logarithm) {
            float lse = base + logf(MK_F(row_exponentials)(x, NULL, job->n, base));
            MK_F(row_affine)(x, y, job->n, 1, -lse);
        } else {
            float sum = MK_F(row_exponentials)(x, y, job->n, base);
            MK_F(row_affine)(y, y, job->n, 1 / sum, 0);
        }
    }
}

static void MK_F(logsumexp_rows)(void *arg, size_t index, size_t thread) {
    (void)thread;
    const reduce_job *job = arg;
    for (size_t row = index * job->rows_per_index; row < mk_min((index + 1) * job->rows_per_index, job->outer); row++) {
        const float *x = job->x + row * job->n;
        float base = MK_F(finite_base)(MK_F(row_maximum)(x, job->n));
        job->y[row] = base + logf(MK_F(row_exponentials)(x, NULL, job->n, base));
    }
}

MK_INLINE float MK_F(row_sum)(const float *x, size_t n) {
    vf sum[4] = {vset(0), vset(0), vset(0), vset(0)};
    size_t i = 0;
    for (; i + 4 * VF <= n; i += 4 * VF)
        for (size_t j = 0; j < 4; j++) sum[j] += vload(x + i + j * VF);
    for (; i + VF <= n; i += VF) sum[0] += vload(x + i);
    if (i < n) sum[0] += vload_part(x + i, n - i, 0);
    return vsum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

static void MK_F(reduce_rows)(void *arg, size_t index, size_t thread) {
    (void)thread;
    const reduce_job *job = arg;
    for (size_t at = index * job->rows_per_index; at < mk_min((index + 1) * job->rows_per_index, job->outer * job->runs); at++) {
        size_t row = at / job->runs, first = at % job->runs * REDUCE_RUN;
        size_t n = job->runs > 1 ? mk_min(REDUCE_RUN, job->n - first) : job->n;
        const float *x = job->x + row * job->n + first;
        job->partial[at] = job->kind == MK_REDUCE_MAX ? MK_F(row_maximum)(x, n) : MK_F(row_sum)(x, n);
    }
}

static void MK_F(reduce_columns)(void *arg, size_t index, size_t thread) {
    (void)thread;
    const reduce_job *job = arg;
    size_t first = index % job->column_tiles * REDUCE_COLUMNS, rest = index / job->column_tiles;
    size_t run = rest % job->runs, outer = rest / job->runs, count = mk_min(REDUCE_COLUMNS, job->inner - first);
    float *y = job->partial + (outer * job->runs + run) * job->inner + first;
    bool maximum = job->kind == MK_REDUCE_MAX;
    for (size_t c = 0; c < count; c++) y[c] = maximum ? -INFINITY : 0;
    for (size_t i = run * 1024; i < mk_min((run + 1) * 1024, job->n); i++) {
        const float *x = job->x + (outer * job->n + i) * job->inner + first;
        size_t c = 0;
        for (; c + VF <= count; c += VF) vstore(y + c, maximum ? vmax(vload(x + c), vload(y + c)) : vload(y + c) + vload(x + c));
        for (; c < count; c++) y[c] = !maximum ? y[c] + x[c] : x[c] > y[c] ? x[c] : y[c];
    }
}

/// Joins the partial results of the runs, in order.
static void MK_F(reduce_runs)(void *arg, size_t index, size_t thread) {
    (void)thread;
    const reduce_job *job = arg;
    for (size_t at = index * REDUCE_TILE; at < mk_min((index + 1) * REDUCE_TILE, job->outer * job->inner); at++) {
        const float *partial = job->partial + at / job->inner * job->runs * job->inner + at % job->inner;
        float y = partial[0];
        for (size_t run = 1; run < job->runs; run++) {
            float x = partial[run * job->inner];
            y = job->kind != MK_REDUCE_MAX ? y + x : x > y ? x : y;
        }
        job->y[at] = job->kind == MK_REDUCE_MEAN ? y / (float)job->n : y;
    }
}
