/* Kind "martlet.collective/1" (draft): exchange between the processes of one run. */
#ifndef MARTLET_KINDS_COLLECTIVE_H
#define MARTLET_KINDS_COLLECTIVE_H

#include "../base.h"

#define MT_KIND_COLLECTIVE "martlet.collective/1"

/* Reductions. Sums of bf16 and f16 are taken in f32. */
#define MT_REDUCE_SUM 1
#define MT_REDUCE_MAX 2
#define MT_REDUCE_MIN 3

typedef struct mt_group mt_group; /* ranks that exchange with each other */

/* Every rank of a group makes the same calls in the same order. Tensors are compact. A call returns when its result is
 * there; MT_CANCELLED or MT_IO, with the rank named, when another rank is gone. */
typedef struct mt_collective_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* Joins the run. `settings` is JSON: {"rank": n, "size": n, "address": "host:port", "timeout": seconds}. [any] */
    mt_status (*join)(void *ctx, mt_str settings, mt_group **out, mt_error *error);
    void (*leave)(void *ctx, mt_group *group); /* [instance] */
    int32_t (*rank)(void *ctx, const mt_group *group); /* [any] */
    int32_t (*size)(void *ctx, const mt_group *group); /* [any] */
    /* The group of the given ranks of this one; *out is NULL on a rank that is not among them. [instance] */
    mt_status (*subgroup)(void *ctx, mt_group *group, const int32_t *ranks, size_t count, mt_group **out, mt_error *error);
    /* Reduces `tensor` over the group, in place. The order of addition is the same on every rank and run. [instance] */
    mt_status (*all_reduce)(void *ctx, mt_group *group, mt_tensor *tensor, int32_t reduction, mt_error *error);
    /* `out` holds size() times the elements of `part`, by rank. [instance] */
    mt_status (*all_gather)(void *ctx, mt_group *group, const mt_tensor *part, mt_tensor *out, mt_error *error);
    /* `part` receives this rank's share of the reduction of `whole`. [instance] */
    mt_status (*reduce_scatter)(void *ctx, mt_group *group, const mt_tensor *whole, mt_tensor *part, int32_t reduction,
                                mt_error *error);
    /* From rank `root` to every rank of the group. [instance] */
    mt_status (*broadcast)(void *ctx, mt_group *group, mt_tensor *tensor, int32_t root, mt_error *error);
    mt_status (*send)(void *ctx, mt_group *group, const mt_tensor *tensor, int32_t to, mt_error *error); /* [instance] */
    mt_status (*receive)(void *ctx, mt_group *group, mt_tensor *tensor, int32_t from, mt_error *error); /* [instance] */
    mt_status (*barrier)(void *ctx, mt_group *group, mt_error *error); /* [instance] */
} mt_collective_table;

#endif
