// Rotation of a range of tokens, for one instruction set.

/// cos and sin of `count` angles from pair `first` on, times the scale; sin is negated for the inverse.
static void MK_F(rope_angles)(const rope_job *job, size_t token, size_t first, size_t count, float *cosine, float *sine) {
    const float *frequencies = job->frequencies + token * job->shape.frequency_stride + first;
    float sign = job->shape.inverse ? -job->shape.scale : job->shape.scale;
    for (size_t j = 0; j < count; j += VF) {
        size_t n = mk_min(VF, count - j);
        vf position;
        if (job->axis) {
            float lanes[VF] = {0};
            for (size_t l = 0; l < n; l++) lanes[l] = (float)job->positions[job->axis[first + j + l] * job->shape.tokens + token];
            position = vload(lanes);
        } else {
            position = vset(job->positions[token]);
        }
        vf s, c;
        // The product of two floats is exact in double; in float the angle at position 131071 would be off by 0.004.
        vf frequency = vload_part(frequencies + j, n, 0.0f);
        vsincos(__builtin_convertvector(position, vd) * __builtin_convertvector(frequency, vd), &s, &c);
        vstore(cosine + j, c * job->shape.scale);
        vstore(sine + j, s * sign);
    }
}

MK_INLINE void MK_F(rotate_halves)(const float *a, const float *b, float *ya, float *yb, const float *cosine, const float *sine, size_t n) {
    size_t j = 0;
    for (; j + VF <= n; j += VF) {
        vf p = vload(a + j), q = vload(b + j), c = vload(cosine + j), s = vload(sine + j);
        vstore(ya + j, p * c - q * s);
        vstore(yb + j, q * c + p * s);
    }
    if (j < n) {
        size_t rest = n - j;
        vf p = vload_part(a + j, rest, 0), q = vload_part(b + j, rest, 0), c = vload(cosine + j), s = vload(sine + j);
        vstore_part(ya + j, rest, p * c - q * s);
        vstore_part(yb + j, rest, q * c + p * s);
    }
}

MK_INLINE void MK_F(rotate_pairs)(const float *x, float *y, const float *cosine, const float *sine, size_t n) {
    for (size_t j = 0; j < n; j++) {
        float p = x[2 * j], q = x[2 * j + 1];
        y[2 * j] = p * cosine[j] - q * sine[j];
        y[2 * j + 1] = q * cosine[j] + p * sine[j];
    }
}

static void MK_F(rope_tokens)(void *arg, size_t index, size_t thread) {
    (void)thread;
    const rope_job *job = arg;
    const mk_rope_shape *shape = &job->shape;
    _Alignas(64) float cosine[ROPE_PAIRS], sine[ROPE_PAIRS];
    size_t last = mk_min(shape->tokens, (index + 1) * job->tokens_per_index), pairs = shape->pairs;
    for (size_t token = index * job->tokens_per_index; token < last; token++) {
        const float *x = job->x + token * shape->x_stride;
        float *y = job->y + token * shape->y_stride;
        for (size_t first = 0; first < pairs; first += ROPE_PAIRS) {
            size_t count = mk_min(ROPE_PAIRS, pairs - first);
            MK_F(rope_angles)(job, token, first, count, cosine, sine);
            for (size_t head = 0; head < shape->heads; head++) {
                const float *from = x + head * shape->width;
                float *to = y + head * shape->width;
                if (shape->interleaved) MK_F(rotate_pairs)(from + 2 * first, to + 2 * first, cosine, sine, count);
                else
                    MK_F(rotate_halves)(from + first, from + pairs + first, to + first, to + pairs + first, cosine, sine, count);
            }
        }
        if (x == y || 2 * pairs >= shape->width) continue;
        for (size_t head = 0; head < shape->heads; head++)
            memcpy(y + head * shape->width + 2 * pairs, x + head * shape->width + 2 * pairs, (shape->width - 2 * pairs) * sizeof(float));
    }
}
