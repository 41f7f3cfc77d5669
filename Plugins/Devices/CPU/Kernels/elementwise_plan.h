// What an elementwise run works from, shared by elementwise.c (which makes it) and elementwise_body.h (which follows it).
#ifndef MARTLET_ELEMENTWISE_PLAN_H
#define MARTLET_ELEMENTWISE_PLAN_H

#include "cpu_ops.h"

#include <math.h>

/// Elements of a register: 2 KiB, so that a dozen live registers stay in the first-level cache.
#define MK_EW_TILE 512
/// Tiles of one parallel index.
#define MK_EW_GROUP 32
#define MK_EW_MOST_CODE 256
#define MK_EW_STREAM_BYTES ((size_t)24 << 20)

typedef struct mk_ew_plan {
    const mk_ew_instruction *code;
    size_t code_count, input_count, output_count, rank;
    mk_ew_operand inputs[MK_EW_REGISTERS], outputs[MK_EW_REGISTERS];
    int64_t shape[MK_MAX_RANK];
    // The two inner axes after joining, and how they are cut. The outer axes are walked by index.
    size_t outer, rows, cols, tile_rows, tile_cols, row_tiles, col_tiles, tiles;
    uint32_t overwritten;             // registers that some instruction sets
    int16_t direct[MK_EW_MOST_CODE];  // the output that instruction i writes to, or -1
    bool stream;
} mk_ew_plan;

#endif
