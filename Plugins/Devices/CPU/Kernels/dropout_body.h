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
        // Word w of counter l belongs to element 4 l + w: interleave the four.
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define LOW_PAIRS(a, b) __builtin_shufflevector(a, b, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23)
#define HIGH_PAIRS(a, b) __builtin_shufflevector(a, b, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31)
        vu words[4] = {LOW_PAIRS(LOW(c0, c1), LOW(c2, c3)), HIGH_PAIRS(LOW(c0, c1), LOW(c2, c3)),
                       LOW_PAIRS(HIGH(c0, c1), HIGH(c2, c3)), HIGH_PAIRS(HIGH(c0, c1), HIGH(c2, c3))};
#undef LOW
#undef HIGH
#undef LOW_PAIRS
#undef HIGH_PAIRS
        for (size_t w = 0; w < 4; w++) {
            vi dropped = (vi)(words[w] < job->threshold);
            vstore(job->y + i + w * VF, vselect(dropped, vset(0), vload(job->x + i + w * VF) * job->factor));
        }
    }
    for (; i < last; i++) {
        uint64_t counter = i / 4;
        uint32_t words[4];
        philox((uint32_t[4]){(uint32_t)counter, (uint32_t)(counter >> 32), job->stream, 0}, job->seed, words);
        job->y[i] = words[i % 4] < job->threshold ? 0 : job->x[i] * job->factor;
    }
}
