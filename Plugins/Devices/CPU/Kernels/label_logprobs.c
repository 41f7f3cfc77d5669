// Log-probabilities of labels without a [tokens, vocabulary] matrix: tiles of tokens by tiles of the vocabulary, with a running
// maximum and sum for each token. Tokens without a label are left out before any product.
#include "cpu_ops.h"

#include <math.h>

#define LABEL_TOKENS 512
#define LABEL_WORDS 2048
#define LABEL_ROWS 8

/// What is known of a token after some tiles of the vocabulary.
typedef struct {
    float largest, total, weighted;  // weighted = sum exp(s - largest) s
    float picked, picked_slope;      // the label's logit, and its derivative by the product
} label_state;

typedef struct {
    const float *hidden, *bias, *lse;
    mk_label_upstream upstream;
    float *dbias;
    const int32_t *labels;
    mk_label_form form;
    int32_t *active;  // tokens with a label
    size_t active_count;
    size_t first, rows;       // of the tile of tokens, in `active`
    size_t word, words;       // of the tile of the vocabulary
    float *gathered, *logits;
    float *sums;  // [rows, width] of a tile of tokens: gradients; NULL without
    label_state *state;
    void *product_scratch;
} label_job;

#define MK_BODY "label_body.h"
#include "simd_targets.h"

static label_job place(const mk_pool *pool, const mk_label_form *form, bool slopes, bool backward, uint8_t **cursor) {
    label_job job = {.form = *form, .bias = form->bias};
    size_t width = form->head->columns, threads = mk_threads(pool);
    size_t rows = mk_min(LABEL_TOKENS, mk_max(form->tokens, 1)), words = mk_min(LABEL_WORDS, mk_max(form->head->rows, 1));
    job.active = mk_take(cursor, form->tokens * sizeof(int32_t));
    job.state = mk_take(cursor, rows * sizeof(label_state));
    job.gathered = mk_take(cursor, rows * width * sizeof(float));
    job.logits = mk_take(cursor, rows * words * sizeof(float));
    mk_weight part = mk_weight_rows(form->head, 0, words);
    size_t bytes = mk_linear_scratch_bytes(&part, rows, form->activation, threads);
    // A short tile may go another way than a full one.
    bytes = mk_max(bytes, mk_linear_scratch_bytes(&part, 1, form->activation, threads));
    if (slopes || backward) {
        job.sums = mk_take(cursor, rows * width * sizeof(float));
        bytes = mk_max(bytes, mk_linear_backward_input_scratch_bytes(&part, rows, form->activation, 0, threads));
        bytes = mk_max(bytes, mk_linear_backward_input_scratch_bytes(&part, 1, form->activation, 0, threads));
    }
    if (backward) {
        mk_gemm gemm = {.transpose_a = true, .m = words, .n = width, .k = rows, .factors = form->activation};
        bytes = mk_max(bytes, mk_gemm_scratch_bytes(&gemm, threads));
    }
    job.product_scratch = mk_take(cursor, bytes);
    return job;
}

size_t mk_label_logprobs_scratch_bytes(const mk_pool *pool, const mk_label_form *form) {
    uint8_t *cursor = (uint8_t *)(uintptr_t)MK_ALIGN;
    place(pool, form, form->slopes, false, &cursor);
    return (size_t)(uintptr_t)cursor;
}

size_t mk_label_logprobs_backward_scratch_bytes(const mk_pool *pool, const mk_label_form *form) {
    uint8_t *cursor = (uint8_t *)(uintptr_t)MK_ALIGN;
    place(pool, form, false, true, &cursor);
    return (size_t)(uintptr_t)cursor;
}

static void find_active(label_job *job) {
    for (size_t t = 0; t < job->form.tokens; t++)
        if (job->labels[t] >= 0 && (size_t)job->labels[t] < job->form.head->rows) job->active[job->active_count++] = (int32_t)t;
}

static void begin_tile(const mk_pool *pool, label_job *job, size_t first) {
    size_t width = job->form.head->columns;
    job->first = first;
    job->rows = mk_min(LABEL_TOKENS, job->active_count - first);
    mk_gather_rows(pool, job->hidden, MK_DTYPE_F32, job->form.tokens, width, job->active + first, job->rows, job->gathered);
}

static mk_weight logits_of_words(const mk_pool *pool, label_job *job, size_t word) {
    job->word = word;
    job->words = mk_min(LABEL_WORDS, job->form.head->rows - word);
    mk_weight part = mk_weight_rows(job->form.head, word, job->words);
    mk_linear(pool, job->gathered, part.columns, job->rows, &part, NULL, job->form.activation, job->logits, job->words, job->product_scratch);
    return part;
}

/// d logp / d hidden = (1 - p(label)) slope(label) w(label) - sum over the other words of p slope w.
static void finish_slopes(void *arg, size_t index, size_t thread) {
    (void)thread;
    const label_job *job = arg;
    size_t width = job->form.head->columns;
    for (size_t r = index * LABEL_ROWS; r < mk_min(job->rows, (index + 1) * LABEL_ROWS); r++) {
        size_t token = (size_t)job->active[job->first + r];
        const float *sums = job->sums + r * width;
        label_state s = job->state[r];
        float *slopes = job->form.slopes + token * width, share = 1 / s.total;
        float own = -expm1f(s.picked - s.largest - logf(s.total)) * s.picked_slope;
        mk_dequantize_rows(job->form.head, (size_t)job->labels[token], 1, slopes, width);
        for (size_t i = 0; i < width; i++) slopes[i] = own * slopes[i] - share * sums[i];
    }
}

void mk_label_logprobs(const mk_pool *pool, const float *hidden, const int32_t *labels, float *logp, float *lse, float *entropy,
                       const mk_label_form *form, void *scratch) {
    uint8_t *cursor = scratch;
    label_job job = place(pool, form, form->slopes, false, &cursor);
    job.hidden = hidden, job.labels = labels;
    size_t width = form->head->columns;
    mk_fill(pool, logp, 0, form->tokens);
    mk_fill(pool, lse, 0, form->tokens);
    if (entropy) mk_fill(pool, entropy, 0, form->tokens);
    if (form->hits) mk_fill(pool, form->hits, 0, form->tokens);
    if (form->slopes) mk_fill(pool, form->slopes, 0, form->tokens * width);
    find_active(&job);
    for (size_t first = 0; first < job.active_count; first += LABEL_TOKENS) {
        begin_tile(pool, &job, first);
        for (size_t r = 0; r < job.rows; r++) job.state[r] = (label_state){.largest = -INFINITY};
        if (job.sums) mk_fill(pool, job.sums, 0, job.rows * width);
        for (size_t word = 0; word < form->head->rows; word += LABEL_WORDS) {
            mk_weight part = logits_of_words(pool, &job, word);
            mk_parallel(pool, mk_ceil_div(job.rows, LABEL_ROWS), MK_PICK(take_words), &job);
            if (job.sums)
                mk_linear_backward_input(pool, job.logits, job.words, job.rows, &part, NULL, form->activation, true, job.sums, width,
                                         job.product_scratch);
        }
        if (job.sums) mk_parallel(pool, mk_ceil_div(job.rows, LABEL_ROWS), finish_slopes, &job);
        for (size_t r = 0; r < job.rows; r++) {
            size_t t = (size_t)job.active[first + r];
            label_state s = job.state[r];
            lse[t] = s.largest + logf(s.total);
            logp[t] = s.picked - lse[t];
            if (entropy) entropy[t] = lse[t] - s.weighted / s.total;
            if (form->hits) form->hits[t] = s.picked >= s.largest;
        }
    }
}

#define BIAS_WORDS 256

/// The bias's gradient: columns of the tile summed, without the scale of the products.
static void add_bias_gradient(void *arg, size_t index, size_t thread) {
    (void)thread;
    const label_job *job = arg;
    size_t first = index * BIAS_WORDS, end = mk_min(job->words, first + BIAS_WORDS);
    float sums[BIAS_WORDS] = {0};
    for (size_t r = 0; r < job->rows; r++)
        for (size_t i = first; i < end; i++) sums[i - first] += job->logits[r * job->words + i];
    for (size_t i = first; i < end; i++) job->dbias[job->word + i] += sums[i - first] / job->form.scale;
}

void mk_label_logprobs_backward(const mk_pool *pool, const mk_label_upstream *upstream, const float *hidden, const int32_t *labels,
                                const float *lse, float *dhidden, float *dhead, float *dbias, bool accumulate,
                                const mk_label_form *form, void *scratch) {
    uint8_t *cursor = scratch;
    label_job job = place(pool, form, false, true, &cursor);
    job.hidden = hidden, job.labels = labels, job.upstream = *upstream, job.lse = lse, job.dbias = dbias;
    size_t width = form->head->columns;
    mk_fill(pool, dhidden, 0, form->tokens * width);
    if (dhead && !accumulate) mk_fill(pool, dhead, 0, form->head->rows * width);
    if (dbias && !accumulate) mk_fill(pool, dbias, 0, form->head->rows);
    find_active(&job);
    for (size_t first = 0; first < job.active_count; first += LABEL_TOKENS) {
        begin_tile(pool, &job, first);
        mk_fill(pool, job.sums, 0, job.rows * width);
        for (size_t word = 0; word < form->head->rows; word += LABEL_WORDS) {
            mk_weight part = logits_of_words(pool, &job, word);
            mk_parallel(pool, mk_ceil_div(job.rows, LABEL_ROWS), MK_PICK(differentiate_words), &job);
            mk_linear_backward_input(pool, job.logits, job.words, job.rows, &part, NULL, form->activation, true, job.sums, width,
                                     job.product_scratch);
            if (dbias) mk_parallel(pool, mk_ceil_div(job.words, BIAS_WORDS), add_bias_gradient, &job);
            if (!dhead) continue;
            mk_gemm gemm = {.transpose_a = true, .m = job.words, .n = width, .k = job.rows, .alpha = 1, .a = job.logits, .lda = job.words,
                            .b = job.gathered, .ldb = width, .beta = 1, .c = dhead + word * width, .ldc = width, .factors = form->activation};
            mk_gemm_f32(pool, &gemm, job.product_scratch);
        }
        mk_scatter_add_rows(pool, job.sums, job.active + first, job.rows, width, dhidden, form->tokens, true);
    }
}
