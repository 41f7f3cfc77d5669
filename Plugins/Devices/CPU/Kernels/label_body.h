// What happens to a tile of logits, for one instruction set.

/// 16 logits: scaled, shifted by the bias, capped; `slope` gets their derivative by the product.
MK_INLINE vf MK_F(shape_logits)(const label_job *job, const float *logits, size_t i, size_t n, vf *slope) {
    vf s = vload_part(logits + i, n, 0) * job->form.scale;
    if (job->bias) s += vload_part(job->bias + job->word + i, n, 0);
    *slope = vset(job->form.scale);
    if (job->form.softcap > 0) {
        vf t = vtanh(s / job->form.softcap);
        s = t * job->form.softcap;
        *slope *= 1.0f - t * t;
    }
    return s;
}

/// Derivative of capped logits by the product.
MK_INLINE vf MK_F(slope_of)(const label_job *job, vf s) {
    if (job->form.softcap <= 0) return vset(job->form.scale);
    vf t = s / job->form.softcap;
    return job->form.scale * (1.0f - t * t);
}

static void MK_F(take_words)(void *arg, size_t index, size_t thread) {
    (void)thread;
    const label_job *job = arg;
    for (size_t r = index * LABEL_ROWS; r < mk_min(job->rows, (index + 1) * LABEL_ROWS); r++) {
        float *logits = job->logits + r * job->words;
        label_state *state = &job->state[r];
        vf top = vset(-__builtin_inff()), ignored;
        for (size_t i = 0; i < job->words; i += VF) {
            size_t n = mk_min(VF, job->words - i);
            vf s = MK_F(shape_logits)(job, logits, i, n, &ignored);
            vstore_part(logits + i, n, s);
            top = vmax(n == VF ? s : vload_part(logits + i, n, -__builtin_inff()), top);
        }
        float largest = vmaximum(top);
        largest = largest > state->largest ? largest : state->largest;
        float base = largest == -INFINITY ? 0 : largest;
        size_t label = (size_t)job->labels[job->active[job->first + r]];
        bool here = label >= job->word && label < job->word + job->words;
        if (here) {
            state->picked = logits[label - job->word];
            state->picked_slope = MK_F(slope_of)(job, vset(state->picked))[0];
        }
        vf total = vset(0), weighted = vset(0);
        for (size_t i = 0; i < job->words; i += VF) {
            size_t n = mk_min(VF, job->words - i);
            vf s = vload_part(logits + i, n, -200.0f + base), e = vexp(s - base);
            total += e;
            // Logits of -infinity have no share: 0 * infinity must not enter.
            weighted += vselect(e > 0.0f, e * s, vset(0));
            if (job->sums) vstore_part(logits + i, n, e * MK_F(slope_of)(job, s));
        }
        float factor = expf(state->largest - base);
        state->total = state->total * factor + vsum(total);
        state->weighted = state->weighted * factor + vsum(weighted);
        state->largest = largest;
        if (!job->sums) continue;
        // The label's own term is taken at the end, where 1 - p loses nothing to rounding.
        if (here) logits[label - job->word] = 0;
        if (factor == 1) continue;
        size_t width = job->form.head->columns;
        float *sums = job->sums + r * width;
        for (size_t i = 0; i < width; i++) sums[i] *= factor;
    }
}

/// Logits -> gradient by the products. With p = e^(s - lse) and the entropy H: d logp / d s = 1[label] - p, d lse / d s = p and
/// d H / d s = -p (log p + H).
static void MK_F(differentiate_words)(void *arg, size_t index, size_t thread) {
    (void)thread;
    const label_job *job = arg;
    const mk_label_upstream *up = &job->upstream;
    for (size_t r = index * LABEL_ROWS; r < mk_min(job->rows, (index + 1) * LABEL_ROWS); r++) {
        size_t token = (size_t)job->active[job->first + r], label = (size_t)job->labels[token];
        float *logits = job->logits + r * job->words, lse = job->lse[token];
        float dlogp = up->dlogp ? up->dlogp[token] : 0, dentropy = up->dentropy ? up->dentropy[token] : 0;
        float share = (up->dlse ? up->dlse[token] : 0) - dlogp, entropy = dentropy != 0 ? up->entropy[token] : 0;
        bool here = label >= job->word && label < job->word + job->words;
        float label_slope = 0;
        for (size_t i = 0; i < job->words; i += VF) {
            size_t n = mk_min(VF, job->words - i);
            vf slope, s = MK_F(shape_logits)(job, logits, i, n, &slope), p = vexp(s - lse), g = p * share;
            // Logits of -infinity have no share: 0 * infinity must not enter.
            if (dentropy != 0) g -= vselect(p > 0.0f, p * (s - lse + entropy) * dentropy, vset(0));
            vstore_part(logits + i, n, g * slope);
            if (here && label - job->word >= i && label - job->word < i + n) label_slope = slope[label - job->word - i];
        }
        if (here) logits[label - job->word] += dlogp * label_slope;
    }
}
