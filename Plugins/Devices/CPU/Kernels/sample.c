// Tokens from logits. Nothing sorts the vocabulary: top-k keeps a heap, top-p sums probabilities by magnitude first and sorts only
// those that can matter.
#include "cpu_ops.h"
#include "philox.h"
#include "topk.h"

#include <math.h>

typedef struct {
    const float *logits;
    const mk_sampling *sampling;
    size_t rows, vocabulary, top;
    int32_t *tokens, *top_tokens;
    float *logprobs, *top_logprobs;
    uint8_t *thread_scratch;
    size_t thread_bytes;
} sample_job;

#define MK_BODY "sample_body.h"
#include "simd_targets.h"

static void apply_mask(float *x, size_t n, const uint32_t *allowed) {
    for (size_t i = 0; i < n; i++)
        if (!((allowed[i / 32] >> (i % 32)) & 1)) x[i] = -INFINITY;
}

static void apply_penalties(float *x, size_t n, const mk_sampling *s) {
    for (size_t i = 0; i < s->token_count; i++) {
        int32_t token = s->tokens[i], count = s->counts[i];
        if (token < 0 || (size_t)token >= n) continue;
        float value = x[token];
        value = value > 0 ? value / s->repetition_penalty : value * s->repetition_penalty;
        if (count > 0) value -= s->presence_penalty + s->frequency_penalty * (float)count;
        x[token] = value;
    }
}

/// Puts the indices of p in falling order of p, equal values by rising index (heap sort).
static void sort_by_probability(int32_t *index, size_t count, const float *p) {
#define AFTER(a, b) (p[a] < p[b] || (p[a] == p[b] && (a) > (b)))
    for (size_t phase = 0, end = count, start = count / 2; end > 1;) {
        int32_t moved;
        if (start > 0) moved = index[--start];
        else {
            phase = 1;
            moved = index[--end];
            index[end] = index[0];
        }
        size_t at = start;
        for (size_t child; (child = 2 * at + 1) < end; at = child) {
            if (child + 1 < end && AFTER(index[child + 1], index[child])) child++;
            if (!AFTER(index[child], moved)) break;
            index[at] = index[child];
        }
        index[at] = moved;
        (void)phase;
    }
#undef AFTER
}

/// Length of the shortest prefix of the candidates that holds `share` of their mass.
static size_t nucleus(const int32_t *index, size_t count, const float *p, float share) {
    double total = 0, sum = 0;
    for (size_t i = 0; i < count; i++) total += p[index[i]];
    for (size_t i = 0; i < count; i++)
        if ((sum += p[index[i]]) >= (double)share * total) return i + 1;
    return count;
}

/// Collects, sorted, at least the tokens that make up `share` of the mass of p (largest p = 1). Bins by the leading bits of p keep
/// their order: 3 bits of mantissa, so that a bin spans 1/8 of its value.
static size_t collect_mass(const float *p, size_t n, float share, int32_t *index) {
    enum { shift = 20, bins = (0x3f800000 >> shift) + 2 };
    double mass[bins] = {0}, total = 0, sum = 0;
    for (size_t i = 0; i < n; i++) mass[mk_min(mk_float_bits(p[i]) >> shift, bins - 1)] += p[i];
    for (size_t b = 0; b < bins; b++) total += mass[b];
    size_t lowest = bins;
    while (lowest > 0 && sum < (double)share * total) sum += mass[--lowest];
    float floor = mk_float_from_bits((uint32_t)lowest << shift);
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (p[i] >= floor && p[i] > 0) index[count++] = (int32_t)i;
    sort_by_probability(index, count, p);
    // The share is of the whole mass, not of what was collected.
    sum = 0;
    for (size_t i = 0; i < count; i++)
        if ((sum += p[index[i]]) >= (double)share * total) return i + 1;
    return count;
}

static double uniform(const mk_sampling *s) {
    uint32_t words[4];
    philox((uint32_t[4]){(uint32_t)s->position, (uint32_t)(s->position >> 32), 0x73616d70u, 0}, s->seed, words);
    return ((double)(words[0] >> 5) * 67108864.0 + (double)(words[1] >> 6) + 0.5) / 9007199254740992.0;
}

/// Draws from the candidates, or from all of p if there is no list.
static int32_t draw(const int32_t *index, size_t count, const float *p, double u) {
    double total = 0, sum = 0;
    for (size_t i = 0; i < count; i++) total += p[index ? (size_t)index[i] : i];
    size_t last = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = index ? (size_t)index[i] : i;
        if (p[at] <= 0) continue;
        last = at;
        if ((sum += p[at]) > u * total) break;
    }
    return (int32_t)last;
}

/// The token for probabilities p (largest 1) in place of the logits x, with room for n indices.
static int32_t choose(const float *p, size_t n, const mk_sampling *s, int32_t *index, float *values) {
    bool all = true;
    size_t count = n;
    if (s->top_k > 0 && (size_t)s->top_k < n) {
        count = (size_t)s->top_k;
        mk_topk_row(p, n, count, values, index);
        if (s->top_p < 1) count = nucleus(index, count, p, s->top_p);
        all = false;
    } else if (s->top_p < 1) {
        count = collect_mass(p, n, s->top_p, index);
        all = false;
    }
    if (s->min_p > 0) {
        size_t kept = 0;
        for (size_t i = 0; i < count; i++) {
            int32_t at = all ? (int32_t)i : index[i];
            if (p[at] >= s->min_p) index[kept++] = at;
        }
        count = kept;
        all = false;
    }
    return draw(all ? NULL : index, count, p, uniform(s));
}

static void sample_row(void *arg, size_t row, size_t thread) {
    const sample_job *job = arg;
    const mk_sampling *s = &job->sampling[row];
    const float *logits = job->logits + row * job->vocabulary;
    size_t n = job->vocabulary;
    uint8_t *cursor = job->thread_scratch + thread * job->thread_bytes;
    float *x = mk_take(&cursor, n * sizeof(float)), *values = mk_take(&cursor, n * sizeof(float));
    int32_t *index = mk_take(&cursor, n * sizeof(int32_t));
    float lse = 0;
    if (job->logprobs || job->top) mk_logsumexp(NULL, logits, &lse, 1, n);
    if (job->top) {
        float *top = job->top_logprobs + row * job->top;
        mk_topk_row(logits, n, job->top, top, job->top_tokens + row * job->top);
        for (size_t i = 0; i < job->top; i++) top[i] -= lse;
    }
    memcpy(x, logits, n * sizeof(float));
    if (s->allowed) apply_mask(x, n, s->allowed);
    if (s->token_count) apply_penalties(x, n, s);
    int32_t token = -1;
    if (s->temperature > 0) {
        float largest = MK_PICK(exponentials)(x, n, 1 / s->temperature);
        if (largest > -INFINITY) token = choose(x, n, s, index, values);
    } else {
        float largest = -INFINITY;
        for (size_t i = 0; i < n; i++)
            if (x[i] > largest) {
                largest = x[i];
                token = (int32_t)i;
            }
    }
    job->tokens[row] = token;
    if (job->logprobs) job->logprobs[row] = token < 0 ? -INFINITY : logits[token] - lse;
}

static size_t thread_bytes(size_t vocabulary) { return 3 * mk_align_up(vocabulary * sizeof(float)) + MK_ALIGN; }

size_t mk_sample_scratch_bytes(const mk_pool *pool, size_t vocabulary) { return mk_threads(pool) * thread_bytes(vocabulary) + MK_ALIGN; }

void mk_sample(const mk_pool *pool, const float *logits, size_t rows, size_t vocabulary, const mk_sampling *sampling, int32_t *tokens,
               float *logprobs, size_t top, int32_t *top_tokens, float *top_logprobs, void *scratch) {
    uint8_t *cursor = scratch;
    sample_job job = {.logits = logits, .sampling = sampling, .rows = rows, .vocabulary = vocabulary, .top = mk_min(top, vocabulary),
                      .tokens = tokens, .logprobs = logprobs, .top_tokens = top_tokens, .top_logprobs = top_logprobs};
    job.thread_bytes = thread_bytes(vocabulary);
    job.thread_scratch = mk_take(&cursor, mk_threads(pool) * job.thread_bytes);
    mk_parallel(pool, rows, sample_row, &job);
}
