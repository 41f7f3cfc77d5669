// Dropout of a tile, 64 elements (16 counters) at a time, for one instruction set.

typedef uint64_t MK_F(vq) __attribute__((vector_size(128)));

MK_INLINE void MK_F(multiply_wide)(vu a, uint32_t by, vu *high, vu *low) {
    MK_F(vq) product = __builtin_convertvector(a, MK_F(vq)) * (uint64_t)by;
    *high = __builtin_convertvector(product >> 32, vu);
    *low = __builtin_convertvector(product, vu);
}

static void MK_F(dropout_tile)(void *arg, size_t index, size_t thread) {
    (void)thread;
    const dropout_job *job = arg;
    size_t first = index * DROPOUT_TILE, last = mk_min(job->count, first + DROPOUT_TILE), i = first;
    const vu lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (; i + 64 <= last; i += 64) {
        uint64_t counter = i / 4;  // a multiple of 16, so that its low word does not overflow within the lanes
        vu c0 = lane + (uint32_t)counter, c1 = (vu){} + (uint32_t)(counter >> 32), c2 = (vu){} + job->stream, c3 = {};
        uint32_t k0 = job->seed[0], k1 = job->seed[1];
        for (int round = 0; round < 10; round++) {
            vu high0, low0, high1, low1;
            MK_F(multiply_wide)(c0, PHILOX_M0, &high0, &low0);
            MK_F(multiply_wide)(c2, PHILOX_M1, &high1, &low1);
            c0 = high1 ^ c1 ^ k0;
            c2 = high0 ^ c3 ^ k1;
            c1 = low1;
            c3 = low0;
            k0 += PHILOX_W0;
            k1 += PHILOX_W1;
        }
        uint32_t words[4][VF];
        memcpy(words[0], &c0, sizeof c0);
        memcpy(words[1], &c1, sizeof c1);
        memcpy(words[2], &c2, sizeof c2);
        memcpy(words[3], &c3, sizeof c3);
        for (size_t l = 0; l < VF; l++)
            for (size_t w = 0; w < 4; w++) {
                size_t at = i + 4 * l + w;
                job->y[at] = words[w][l] < job->threshold ? 0 : job->x[at] * job->factor;
            }
    }
    for (; i < last; i++) {
        uint64_t counter = i / 4;
        uint32_t words[4];
        philox((uint32_t[4]){(uint32_t)counter, (uint32_t)(counter >> 32), job->stream, 0}, job->seed, words);
        job->y[i] = words[i % 4] < job->threshold ? 0 : job->x[i] * job->factor;
    }
}
