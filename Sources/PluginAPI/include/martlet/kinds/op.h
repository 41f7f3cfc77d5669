/* Kind "martlet.op/1" (draft): an op of the plugin's own, by decomposition into known ones. */
#ifndef MARTLET_KINDS_OP_H
#define MARTLET_KINDS_OP_H

#include "../base.h"
#include "../graph.h"

#define MT_KIND_OP "martlet.op/1"

typedef struct mt_op_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* Emits the op's meaning into `graph` and writes its outputs. The host calls this when the op is emitted, so it
     * runs and differentiates everywhere. Shapes are checked by what it emits. [instance of the graph] */
    mt_status (*decompose)(void *ctx, mt_graph *graph, const mt_value *inputs, size_t input_count, const mt_attr *attrs,
                           size_t attr_count, mt_value *outputs, size_t output_count, mt_error *error);
} mt_op_table;

#endif
