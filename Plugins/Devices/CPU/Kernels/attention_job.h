// Shared by the attention kernels: how keys and values are laid out for the products, and how the rows are cut.
//
// Keys and values are packed in panels of 16 keys, so that the products run along lanes without shuffles:
//   K panel, f32:  [width][16 keys]              bf16: [width / 2][16 keys][2]
//   V panel, f32:  [16 keys][value width]        bf16: [16 / 2][value width][2 keys]
// The width is padded to an even number, the value width to a multiple of 16, with zeros.
// A row is one token of one query head. The rows of all query heads that share a kv head are taken together (token-major), in blocks
// of 48: they read the same keys.
#ifndef MARTLET_ATTENTION_JOB_H
#define MARTLET_ATTENTION_JOB_H

#include "cpu_ops.h"

#include <math.h>

#define ATTENTION_ROWS 48
#define PANEL 16
/// Panels whose scores are held at a time.
#define ATTENTION_PANELS 8
#define ATTENTION_KEYS (PANEL * ATTENTION_PANELS)

/// What a block of rows is attended with.
typedef struct {
    size_t group;                              // query heads of a kv head
    size_t width, padded_width;                // of q and k
    size_t value_width, padded_value_width;    // of v
    float scale, softcap;
    int32_t window;
    bool causal;
} attention_form;

/// Scratch of one thread: queries [48][padded width], scores [48][128], probabilities [48][128] (bf16 only), sums [48][padded value].
typedef struct {
    void *queries;
    float *scores;
    void *probabilities;
    float *sums;
} attention_scratch;

static inline size_t attention_thread_bytes(const attention_form *form) {
    return mk_align_up(ATTENTION_ROWS * form->padded_width * sizeof(float)) + mk_align_up(ATTENTION_ROWS * ATTENTION_KEYS * sizeof(float))
        + mk_align_up(ATTENTION_ROWS * ATTENTION_KEYS * sizeof(uint16_t))
        + mk_align_up(ATTENTION_ROWS * form->padded_value_width * sizeof(float)) + MK_ALIGN;
}

static inline attention_scratch attention_take(const attention_form *form, uint8_t *cursor) {
    attention_scratch s;
    s.queries = mk_take(&cursor, ATTENTION_ROWS * form->padded_width * sizeof(float));
    s.scores = mk_take(&cursor, ATTENTION_ROWS * ATTENTION_KEYS * sizeof(float));
    s.probabilities = mk_take(&cursor, ATTENTION_ROWS * ATTENTION_KEYS * sizeof(uint16_t));
    s.sums = mk_take(&cursor, ATTENTION_ROWS * form->padded_value_width * sizeof(float));
    return s;
}

/// Where in the cumulative `starts` (count + 1 entries) an index falls; empty parts are skipped.
static inline size_t attention_find(const int32_t *starts, size_t count, size_t index) {
    size_t low = 0, high = count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if ((size_t)starts[middle] <= index) low = middle;
        else high = middle;
    }
    return low;
}

#endif
