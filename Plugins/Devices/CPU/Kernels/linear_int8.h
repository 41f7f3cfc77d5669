// Integer products of repacked weights: unsigned weight codes times activations rounded to int8, with VNNI.
//
// With code u, offset o, scale d, minimum m of a weight block and q, s of an activation block:
//   offset layouts   w = (u - o) d      sum w x = d s (sum u q - o sum q)
//   minimum layouts  w = u d + m        sum w x = d s  sum u q + m s sum q
// so each product needs the sum of the activation's codes as well, which is worked out once when they are rounded.
#ifndef MARTLET_LINEAR_INT8_H
#define MARTLET_LINEAR_INT8_H

#include "gemm_internal.h"
#include "layout_internal.h"

/// What a block of 32 columns has: bits 0 and 1 tell the four apart.
typedef enum int8_kind {
    INT8_OFFSET = 0,          // one scale; `sums` holds -o sum q
    INT8_HALVES = 1,          // one scale for each 16; `sums` holds -o sum q of each
    INT8_MINIMUM = 2,         // scale and minimum; `sums` holds s sum q, as f32
    INT8_HALVES_MINIMUM = 3,  // scale and minimum for each 16; `sums` holds s sum q of each
} int8_kind;

static inline size_t int8_halves(int8_kind kind) { return kind & 1 ? 2 : 1; }
static inline bool int8_has_minimum(int8_kind kind) { return kind & 2; }

/// Tokens rounded together: the height of the micro-kernel.
#define INT8_TILE ((size_t)6)
/// Most tokens that meet codes unpacked in registers as the weight streams by, and most for which that is done (twice, the second
/// time from the cache).
#define INT8_STREAM_WIDTH ((size_t)8)
#define INT8_STREAM_TOKENS ((size_t)MK_LINEAR_FEW)
/// Columns unpacked at a time for more tokens: 32 rows of them stay in L1.
#define INT8_DEPTH ((size_t)512)

/// Activations of up to `width` tokens. Column groups of 4 (a dword), blocks, or half blocks are rows of `width` entries.
typedef struct int8_tile {
    size_t width;
    const int32_t *codes;  // [columns / 4][width]
    const float *scales;   // [columns / 32][width]
    const int32_t *sums;   // [columns / 32, or / 16][width]
} int8_tile;

/// Blocks of 32 columns in a row, and the shift from a block's number to its scale's where the layout has one for several.
typedef struct int8_shape {
    size_t blocks;
    unsigned scale_shift;
} int8_shape;

/// Sums of 16 rows with each token over all columns: to[token * 16 + row].
typedef void (*int8_decode)(const uint8_t *group, int8_shape shape, const int8_tile *x, float *to);

typedef struct int8_format {
    int8_kind kind;
    int offset;
    int8_decode decode[INT8_STREAM_WIDTH];  // by tokens - 1
    /// Blocks first..<first + count of a group: 8 vectors of codes each, `stride` bytes apart; then scales and minima,
    /// [block][half], vectors `stride` bytes apart too.
    void (*unpack)(const uint8_t *group, int8_shape shape, size_t first, size_t count, size_t stride, uint8_t *codes, float *scales,
                   float *minima);
    /// Columns of a group as f32: to[column * ld + row].
    void (*to_f32)(const uint8_t *group, int8_shape shape, size_t first, size_t count, float *to, size_t ld);
} int8_format;

/// The format of a repacked weight, NULL if its layout has none.
const int8_format *int8_format_of(const mk_weight *weight);

static inline int8_shape int8_shape_of(const mk_weight *weight) {
    return (int8_shape){weight->columns / 32, weight->layout == MK_LAYOUT_AFFINE ? layout_affine_shift(weight) : 0};
}

/// Sums of one token.
static inline size_t int8_sums(int8_kind kind, size_t columns) { return columns / 32 * int8_halves(kind); }

// Bytes of a rounded tile: codes, then scales, then sums.
static inline size_t int8_codes_bytes(size_t columns, size_t width) { return mk_align_up(columns * width); }
static inline size_t int8_scales_bytes(size_t columns, size_t width) { return mk_align_up(columns / 32 * width * 4); }
static inline size_t int8_tile_bytes(int8_kind kind, size_t columns, size_t width) {
    return int8_codes_bytes(columns, width) + int8_scales_bytes(columns, width) + mk_align_up(int8_sums(kind, columns) * width * 4);
}

static inline int8_tile int8_tile_at(uint8_t *at, size_t columns, size_t width) {
    uint8_t *scales = at + int8_codes_bytes(columns, width), *sums = scales + int8_scales_bytes(columns, width);
    return (int8_tile){width, (const int32_t *)(const void *)at, (const float *)(const void *)scales, (const int32_t *)(const void *)sums};
}

/// For at most INT8_STREAM_TOKENS tokens: weights of the same number of columns, at most MK_LINEAR_PARTS.
size_t int8_few_scratch_bytes(const mk_linear_part *parts, size_t count, size_t tokens);
void int8_few(const mk_pool *pool, const float *x, size_t ldx, size_t tokens, const mk_linear_part *parts, size_t count, void *scratch);

/// For more.
size_t int8_scratch_bytes(const mk_weight *weight, size_t tokens, size_t threads);
void int8_linear(const mk_pool *pool, const float *x, size_t ldx, size_t tokens, const mk_weight *weight, const float *bias, float *y,
                 size_t ldy, void *scratch);

/// Rounds `tokens` <= tile->width rows of x; fills the tile's arrays.
void int8_round(const float *x, size_t ldx, size_t tokens, size_t columns, int8_kind kind, int offset, const int8_tile *tile);

/// A panel of 32 rows unpacked: for each block of 32 columns 16 vectors of codes (two for each 4 columns), two of scales and two of minima
/// (four where each half has its own).
typedef struct int8_panel {
    const uint8_t *codes;
    const float *scales, *minima;
} int8_panel;

/// c [m, n] (+)= tile times panel over `blocks` blocks; m <= INT8_TILE, n <= 32. `add` keeps what c holds; bias may be NULL.
void int8_kernel(int8_kind kind, size_t blocks, const int8_tile *x, const int8_panel *panel, float *c, size_t ldc, size_t m, size_t n,
                 bool add, const float *bias);

#endif
