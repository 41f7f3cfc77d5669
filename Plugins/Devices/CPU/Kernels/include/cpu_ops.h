// The CPU kernels other than the products: elementwise programs, norms, rope, attention, reductions, copies, sampling.
//
// Tokens are flat: T rows, no batch axis. Shapes and strides count elements. Unless a comment says otherwise, tensors are f32,
// row-major and dense, an output may not overlap an input, and any extent may be 0.
// The pool may be NULL. Rules on scratch and determinism are those of cpu_common.h.
#ifndef MARTLET_CPU_OPS_H
#define MARTLET_CPU_OPS_H

#include "cpu_linear.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Element types that loads, stores and copies convert between.
typedef enum mk_dtype { MK_DTYPE_F32 = 0, MK_DTYPE_BF16 = 1, MK_DTYPE_F16 = 2, MK_DTYPE_I32 = 3, MK_DTYPE_U8 = 4 } mk_dtype;

/// Bytes of one element.
static inline size_t mk_dtype_size(mk_dtype type) {
    return type == MK_DTYPE_F32 || type == MK_DTYPE_I32 ? 4 : type == MK_DTYPE_U8 ? 1 : 2;
}

/// What products inside a kernel may be computed in. Sums are always f32.
typedef enum mk_precision {
    MK_PRECISION_F32 = 0,
    MK_PRECISION_BF16 = 1,  // operands rounded to bf16 where the processor multiplies them faster; else as F32
} mk_precision;

#define MK_MAX_RANK 6

// MARK: Elementwise programs (elementwise.c)

/// Instructions of an elementwise program: to = op(a, b, c, value). Comparisons give 1 or 0; `where` takes b where a != 0, else c.
typedef enum mk_ew_op {
    // to = f(a)
    MK_EW_COPY, MK_EW_NEG, MK_EW_EXP, MK_EW_LOG, MK_EW_SQRT, MK_EW_RSQRT, MK_EW_RECIPROCAL, MK_EW_ABS, MK_EW_SIGN, MK_EW_SQUARE,
    MK_EW_TANH, MK_EW_SIGMOID, MK_EW_SILU, MK_EW_GELU, MK_EW_GELU_TANH, MK_EW_QUICK_GELU, MK_EW_RELU, MK_EW_LOG_SIGMOID,
    MK_EW_SOFTPLUS, MK_EW_SIN, MK_EW_COS, MK_EW_ERF, MK_EW_FLOOR,
    // to = a * value, a + value, value
    MK_EW_SCALE, MK_EW_ADD_SCALAR, MK_EW_CONSTANT,
    // to = f(a, b)
    MK_EW_ADD, MK_EW_SUB, MK_EW_MUL, MK_EW_DIV, MK_EW_POW, MK_EW_MIN, MK_EW_MAX, MK_EW_LESS, MK_EW_EQUAL,
    // to = a * b + c, a ? b : c
    MK_EW_FMA, MK_EW_WHERE,
    // Derivatives as one instruction, to = b * f'(a): what a fused backward pass meets most.
    MK_EW_SILU_GRADIENT, MK_EW_GELU_GRADIENT, MK_EW_GELU_TANH_GRADIENT,
    MK_EW_COUNT
} mk_ew_op;

#define MK_EW_REGISTERS 32

/// One instruction; registers are below MK_EW_REGISTERS, unused ones 0.
typedef struct mk_ew_instruction {
    uint8_t op, to, a, b, c;
    float value;
} mk_ew_instruction;

/// An input or output of a program: strides of 0 broadcast (a row vector over [T, W] is {0, 1}, a column {1, 0}, a scalar {0, 0}).
typedef struct mk_ew_operand {
    void *data;
    mk_dtype type;
    uint8_t reg;  // the register that an input fills, or that an output is read from at the end
    int64_t strides[MK_MAX_RANK];
} mk_ew_operand;

/// A register program run once for each element of `shape`.
typedef struct mk_ew_program {
    const mk_ew_instruction *code;
    size_t code_count;
    const mk_ew_operand *inputs;
    size_t input_count;
    const mk_ew_operand *outputs;
    size_t output_count;
    size_t rank;
    int64_t shape[MK_MAX_RANK];
} mk_ew_program;

/// Runs a program; false, with nothing done, if it is malformed (counts, registers, types, a register read before it is set).
/// An output may be the same memory as an input with the same strides and type. Arithmetic is f32; i32 and u8 are converted.
/// Needs 160 KiB of stack on each thread of the pool.
bool mk_ew_run(const mk_pool *pool, const mk_ew_program *program);

// MARK: Norms (norm.c)

/// y = x / rms(x) * (offset + w), rms = sqrt(mean(x^2) + eps), over the last axis of x[rows, width]. y may be x.
/// With `residual`, x + residual is normed, and written to `sum` (which may be x or residual).
void mk_rms_norm(const mk_pool *pool, const float *x, const float *residual, float *sum, const float *w, float *y, size_t rows,
                 size_t width, float eps, float offset);

/// Gradient of mk_rms_norm: dx (may be dy; NULL = not wanted) and dw (NULL = not wanted).
void mk_rms_norm_backward(const mk_pool *pool, const float *dy, const float *x, const float *w, float *dx, float *dw, size_t rows,
                          size_t width, float eps, float offset, void *scratch);

/// y = (x - mean) / sqrt(variance + eps) * w + b; w and b may be NULL. y may be x.
void mk_layer_norm(const mk_pool *pool, const float *x, const float *w, const float *b, float *y, size_t rows, size_t width, float eps);

/// Gradient of mk_layer_norm; dx, dw and db may each be NULL, dx may be dy.
void mk_layer_norm_backward(const mk_pool *pool, const float *dy, const float *x, const float *w, float *dx, float *dw, float *db,
                            size_t rows, size_t width, float eps, void *scratch);

/// Scratch of the two backward passes.
size_t mk_norm_scratch_bytes(size_t rows, size_t width);

// MARK: Rope (rope.c)

/// Rotates the first 2 * pairs of each head's `width` elements: x[tokens, heads, width] with `x_stride` between tokens.
/// Angle j of token t is positions[axis[j] * tokens + t] * frequencies[t * frequency_stride + j], the stride 0 where all
/// tokens share them; axis NULL means all 0 (else it has `pairs` entries,
/// for multimodal sections). Half rotation pairs (j, j + pairs), interleaved pairs (2j, 2j + 1). `scale` multiplies cos and sin.
/// `inverse` is the transposed rotation: the gradient. y may be x.
typedef struct mk_rope_shape {
    size_t tokens, heads, width, pairs;
    size_t x_stride, y_stride, frequency_stride;
    bool interleaved, inverse;
    float scale;
} mk_rope_shape;
void mk_rope(const mk_pool *pool, const float *x, const int32_t *positions, const uint8_t *axis, const float *frequencies, float *y,
             const mk_rope_shape *shape);

// MARK: Attention (attention_*.c)

/// Attention of segments of flat tokens: q[Tq, Hq, D], k[Tk, Hk, D], v[Tk, Hk, Dv], out[Tq, Hq, Dv], lse[Tq, Hq].
/// Segments are cumulative offsets of `segments` + 1 entries; entries after the last repeat it. `causal` aligns the ends of a query
/// segment and its key segment; with `window` > 0 key j is visible to query i if i - j < window; `softcap` c > 0: s = c tanh(s / c).
/// `sinks` (NULL or [Hq]) adds exp(sink) to each denominator. A row that sees no key gives 0 and lse = -infinity (its sink, if any).
typedef struct mk_attention_shape {
    size_t query_tokens, key_tokens, query_heads, kv_heads, width, value_width;
    size_t q_stride, k_stride, v_stride;  // elements between tokens; 0 = dense
    const int32_t *q_segments, *k_segments;
    size_t segments;
    float scale, softcap;
    int32_t window;
    bool causal;
    mk_precision precision;
} mk_attention_shape;

size_t mk_attention_scratch_bytes(const mk_pool *pool, const mk_attention_shape *shape);

/// Writes out and, unless NULL, lse (natural logarithm of the sum of exponentials of the scaled, capped scores).
void mk_attention(const mk_pool *pool, const float *q, const float *k, const float *v, const float *sinks, float *out, float *lse,
                  const mk_attention_shape *shape, void *scratch);

size_t mk_attention_backward_scratch_bytes(const mk_pool *pool, const mk_attention_shape *shape);

/// Gradient with recomputation from lse: dq, dk, dv dense; dsinks [Hq] or NULL. All are overwritten.
void mk_attention_backward(const mk_pool *pool, const float *dout, const float *q, const float *k, const float *v, const float *sinks,
                           const float *out, const float *lse, float *dq, float *dk, float *dv, float *dsinks,
                           const mk_attention_shape *shape, void *scratch);

// MARK: Softmax and reductions (reduce.c)

/// Softmax of each row; y may be x.
void mk_softmax(const mk_pool *pool, const float *x, float *y, size_t rows, size_t width);
/// Logarithm of the softmax of each row; y may be x.
void mk_log_softmax(const mk_pool *pool, const float *x, float *y, size_t rows, size_t width);
/// log(sum(exp(row))) -> y[rows].
void mk_logsumexp(const mk_pool *pool, const float *x, float *y, size_t rows, size_t width);

typedef enum mk_reduction { MK_REDUCE_SUM = 0, MK_REDUCE_MEAN = 1, MK_REDUCE_MAX = 2 } mk_reduction;

/// Reduces the middle axis of x[outer, n, inner] -> y[outer, inner]. Sums of n = 0 are 0, means NaN, maxima -infinity.
void mk_reduce(const mk_pool *pool, mk_reduction kind, const float *x, float *y, size_t outer, size_t n, size_t inner, void *scratch);
size_t mk_reduce_scratch_bytes(size_t outer, size_t n, size_t inner);

/// Index of the first largest element along the middle axis; n must not be 0.
void mk_argmax(const mk_pool *pool, const float *x, int32_t *y, size_t outer, size_t n, size_t inner);
/// Running sums along the middle axis; y may be x. `reverse` sums from the end (its gradient).
void mk_cumsum(const mk_pool *pool, const float *x, float *y, size_t outer, size_t n, size_t inner, bool reverse);
/// The k largest of each row in falling order, equal values by rising index; k <= width.
void mk_topk(const mk_pool *pool, const float *x, float *values, int32_t *indices, size_t rows, size_t width, size_t k);

// MARK: Rows and copies (gather.c, copy.c)

/// out[t] = table[ids[t]] as f32; an id outside 0..<table_rows gives zeros. `table` is F32, BF16 or F16.
void mk_gather_rows(const mk_pool *pool, const void *table, mk_dtype type, size_t table_rows, size_t width, const int32_t *ids,
                    size_t count, float *out);
/// out[V, width] = 0, then out[ids[t]] += rows[t] in the order of t; ids outside are skipped. `accumulate` keeps what out holds.
void mk_scatter_add_rows(const mk_pool *pool, const float *rows, const int32_t *ids, size_t count, size_t width, float *out,
                         size_t out_rows, bool accumulate);

/// Copies an nd array between strided views, converting types: transpose, slice, concat and cast are calls of this.
void mk_copy_nd(const mk_pool *pool, const void *from, mk_dtype from_type, const int64_t *from_strides, void *to, mk_dtype to_type,
                const int64_t *to_strides, const int64_t *shape, size_t rank);
/// Converts `count` dense elements; to I32 and U8 rounds toward zero and saturates.
void mk_cast(const mk_pool *pool, const void *from, mk_dtype from_type, void *to, mk_dtype to_type, size_t count);
void mk_fill(const mk_pool *pool, float *to, float value, size_t count);

// MARK: Attention over a paged cache (attention_paged.c)

/// Rows of several sequences against a cache of blocks. Row t of the call first writes its key and value to slot slots[t]
/// (block * block_size + offset; negative = not written); then row i of segment s attends to the first context[s] positions of its
/// sequence, of which the segment's rows are the last. Position p of sequence s lies in block block_table[s * table_stride + p / block_size].
///
/// A cache is [blocks, kv heads, block_size, width] elements of f32, f16 or bf16, in an order of the kernels' own (panels of 16 keys,
/// see attention_job.h): only these kernels read it, whole blocks may be copied. block_size is a multiple of 16.
typedef struct mk_paged_shape {
    size_t tokens, query_heads, kv_heads, width, value_width;
    size_t q_stride, k_stride, v_stride;  // elements between tokens; 0 = dense
    const int32_t *slots, *q_segments, *context, *block_table;
    size_t segments, table_stride, blocks, block_size;
    mk_dtype cache_type;
    float scale, softcap;
    int32_t window;
    mk_precision precision;  // BF16 with a bf16 cache reads the cache as it lies
} mk_paged_shape;

size_t mk_attention_paged_scratch_bytes(const mk_pool *pool, const mk_paged_shape *shape);

/// False, with nothing written, if a slot, block or context lies outside the cache or table, or the block size is no multiple of 16.
bool mk_attention_paged(const mk_pool *pool, const float *q, const float *k, const float *v, void *k_cache, void *v_cache,
                        const float *sinks, float *out, const mk_paged_shape *shape, void *scratch);

// MARK: Log-probabilities of labels (label_logprobs.c)

/// Logits = scale * hidden headT + bias, capped as c tanh(logits / c) where softcap c > 0. A label outside the head's rows (-100) is
/// skipped: its outputs and gradients are 0, and its products are not computed. Never more than a tile of logits is in memory.
typedef struct mk_label_form {
    size_t tokens;
    const mk_weight *head;  // [vocabulary, width], any layout
    const float *bias;      // [vocabulary] or NULL
    float scale, softcap;
    mk_activation activation;
    float *hits;            // forward: [tokens] or NULL; 1 where no logit is above the label's, else 0
    float *slopes;          // forward: [tokens, width] or NULL; d logp / d hidden of each token
} mk_label_form;

/// `slopes` counts only by whether it is NULL.
size_t mk_label_logprobs_scratch_bytes(const mk_pool *pool, const mk_label_form *form);

/// logp[T] = log softmax(logits)[label], lse[T] = log sum exp(logits); entropy[T] may be NULL. Slopes cost one more product with the
/// head, and no other pass over the vocabulary: as in attention, exp(logit - running maximum) w is summed and scaled down whenever
/// the maximum grows (after Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).
void mk_label_logprobs(const mk_pool *pool, const float *hidden, const int32_t *labels, float *logp, float *lse, float *entropy,
                       const mk_label_form *form, void *scratch);

size_t mk_label_logprobs_backward_scratch_bytes(const mk_pool *pool, const mk_label_form *form);

/// Gradients that arrive at the outputs, [tokens] each; any may be NULL. dentropy goes with `entropy`, the forward's.
typedef struct mk_label_upstream {
    const float *dlogp, *dlse, *dentropy, *entropy;
} mk_label_upstream;

/// dhidden[T, width] and, unless NULL, dhead[vocabulary, width] and dbias[vocabulary] (added to what they hold if `accumulate`).
/// `form->scale` is not 0.
void mk_label_logprobs_backward(const mk_pool *pool, const mk_label_upstream *upstream, const float *hidden, const int32_t *labels,
                                const float *lse, float *dhidden, float *dhead, float *dbias, bool accumulate,
                                const mk_label_form *form, void *scratch);

// MARK: Patches and dropout (patches.c, dropout.c)

/// Convolution as a product: patches of x[channels, height, width] (a 1-D signal has width 1) are rows [out height * out width,
/// channels * kernel height * kernel width], zero in the padding, so that patches wT is the convolution with w[out, channels, kh, kw].
typedef struct mk_patches {
    size_t channels, height, width;
    size_t kernel[2], stride[2], padding[2], dilation[2];  // height, width
} mk_patches;

/// Patches along an axis (0 height, 1 width); 0 where the kernel does not fit.
size_t mk_patch_count(const mk_patches *form, int axis);
void mk_unfold(const mk_pool *pool, const float *x, float *patches, const mk_patches *form);
/// The adjoint: x = sum over patches that hold the element.
void mk_fold(const mk_pool *pool, const float *patches, float *x, const mk_patches *form);

/// y = x / (1 - p), or 0 where word i % 4 of Philox4x32-10(counter {i / 4 low, i / 4 high, stream, 0}, seed) is below p 2^32. y may be x.
void mk_dropout(const mk_pool *pool, const float *x, float *y, size_t count, float p, const uint32_t seed[2], uint32_t stream);
/// y = word i % 4 of the same generator / 2^32, cut to 24 bits.
void mk_uniform(const mk_pool *pool, float *y, size_t count, const uint32_t seed[2], uint32_t stream);

// MARK: One byte a number (blocks.c)

/// codes[count]: the nearest of 256 ascending values to x / scale; scales[ceil(count / block)]: the largest |x| of each block.
void mk_quantize_blocks(const mk_pool *pool, const float *x, const float *values, size_t count, size_t block, uint8_t *codes,
                        float *scales);
void mk_dequantize_blocks(const mk_pool *pool, const uint8_t *codes, const float *scales, const float *values, size_t count,
                          size_t block, float *y);

// MARK: Sampling (sample.c)

/// How one row of logits becomes a token. Order: allowed, penalties, temperature, top-k, top-p (of what top-k left), min-p.
typedef struct mk_sampling {
    float temperature;  // <= 0: the largest logit
    int32_t top_k;      // <= 0: off
    float top_p;        // >= 1: off
    float min_p;        // <= 0: off; keeps tokens of at least min_p times the largest probability
    float repetition_penalty, presence_penalty, frequency_penalty;  // off: 1, 0, 0
    const int32_t *tokens, *counts;  // tokens seen, with how often the output holds each (0: in the prompt alone)
    size_t token_count;
    const uint32_t *allowed;  // bit mask over the vocabulary, or NULL
    uint32_t seed[2];
    uint64_t position;  // of the token in its sequence: the same seed and position give the same draw
} mk_sampling;

size_t mk_sample_scratch_bytes(const mk_pool *pool, size_t vocabulary);

/// tokens[rows] (-1 where no token is allowed). Unless NULL, logprobs[rows] is the log-probability of the token under the logits as
/// given; with `top` > 0 the `top` likeliest tokens of each row and theirs go to top_tokens and top_logprobs [rows, top].
void mk_sample(const mk_pool *pool, const float *logits, size_t rows, size_t vocabulary, const mk_sampling *sampling, int32_t *tokens,
               float *logprobs, size_t top, int32_t *top_tokens, float *top_logprobs, void *scratch);

#ifdef __cplusplus
}
#endif

#endif
