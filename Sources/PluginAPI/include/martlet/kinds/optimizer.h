/* Kind "martlet.optimizer/1" (draft): a parameter's update as a graph. */
#ifndef MARTLET_KINDS_OPTIMIZER_H
#define MARTLET_KINDS_OPTIMIZER_H

#include "../base.h"
#include "../graph.h"

#define MT_KIND_OPTIMIZER "martlet.optimizer/1"

typedef struct mt_update {
    uint32_t struct_size;
    uint32_t state_count;
    mt_graph *graph;
    mt_str settings;       /* JSON: {"parameter": its name, "adam_beta1": 0.9, …} */
    mt_value parameter;    /* f32, any shape */
    mt_value gradient;     /* f32, the same shape, already clipped */
    mt_value learning_rate; /* f32 [1] */
    mt_value step;         /* f32 [1], 1 in the first step */
    mt_value weight_decay; /* f32 [1]; 0 for parameters that are not decayed */
    const mt_value *states; /* in the order of `states` below */
} mt_update;

typedef struct mt_optimizer_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* JSON array of the states of a parameter of `shape`: [{"name": "exp_avg", "shape": [...], "init": 0.0,
     * "type": "f32" | "u8"}], f32 where no type is named. [any] */
    mt_status (*states)(void *ctx, mt_str settings, const int64_t *shape, size_t rank, mt_sink out, mt_error *error);
    /* Emits the new parameter and the new states. [instance of the graph] */
    mt_status (*update)(void *ctx, const mt_update *update, mt_value *parameter, mt_value *states, mt_error *error);
} mt_optimizer_table;

#endif
