/* Kind "martlet.alignment/1" (draft): a training objective over log-probabilities of labels. */
#ifndef MARTLET_KINDS_ALIGNMENT_H
#define MARTLET_KINDS_ALIGNMENT_H

#include "../base.h"
#include "../graph.h"

#define MT_KIND_ALIGNMENT "martlet.alignment/1"

/* What the objective needs of a batch (bits of `needs`). */
#define MT_NEEDS_PAIRS 1u      /* sequences come as chosen, rejected, chosen, rejected … */
#define MT_NEEDS_LABELS 2u     /* a label a sequence (KTO, classification) */
#define MT_NEEDS_REFERENCE 4u  /* log-probabilities under the reference model */
#define MT_NEEDS_MISMATCHED 8u /* log-probabilities of mismatched prompt-answer pairs (KTO's KL term) */
#define MT_NEEDS_ROLLOUTS 16u  /* completions sampled from the policy, with their log-probabilities at that time */
#define MT_NEEDS_REWARDS 32u   /* a reward a sequence */
#define MT_NEEDS_VALUES 64u    /* a value head's output a token */
#define MT_NEEDS_ENTROPY 128u  /* entropy a token */
#define MT_NEEDS_SCORES 256u   /* a scalar head's output a sequence (reward model) */

/* The batch as values of the graph; index 0 is absent. T tokens, S sequences, pairs are adjacent sequences. */
typedef struct mt_objective {
    uint32_t struct_size;
    uint32_t reserved;
    mt_graph *graph;
    mt_str settings;               /* the algorithm's JSON */
    mt_value logps;                /* f32 [T]: log-probability of each token's label; 0 where there is none */
    mt_value weights;              /* f32 [T]: loss weight of each label; 0 = not trained */
    mt_value sequences;            /* i32 [T]: sequence of each token */
    mt_value normalizer;           /* f32 [1]: sum over the whole accumulation window and all ranks that means divide by:
                                    * trained tokens for token losses, sequences or pairs for the others */
    mt_value sequence_logps;       /* f32 [S]: sums over trained tokens */
    mt_value sequence_lengths;     /* f32 [S]: numbers of trained tokens */
    mt_value reference_logps;      /* f32 [T] */
    mt_value reference_sequence_logps; /* f32 [S] */
    mt_value mismatched_logps;     /* f32 [S], policy; detached */
    mt_value mismatched_reference_logps; /* f32 [S] */
    mt_value labels;               /* f32 [S]: 1 desirable, 0 not */
    mt_value rewards;              /* f32 [S] */
    mt_value old_logps;            /* f32 [T] at rollout time */
    mt_value advantages;           /* f32 [T] or [S] */
    mt_value values;               /* f32 [T] */
    mt_value old_values;           /* f32 [T] */
    mt_value returns;              /* f32 [T] */
    mt_value entropies;            /* f32 [T] */
    mt_value scores;               /* f32 [S] */
    mt_value margins;              /* f32 [S / 2] */
} mt_objective;

typedef struct mt_alignment_table {
    uint32_t struct_size;
    uint32_t reserved;
    mt_status (*needs)(void *ctx, mt_str settings, uint32_t *out, mt_error *error); /* [any] */
    /* Emits the scalar loss, a share of the window: the shares of all micro-batches add up to the step's loss.
     * [instance of the graph] */
    mt_status (*loss)(void *ctx, const mt_objective *objective, mt_value *out, mt_error *error);
    /* Emits named metrics (scalars, sums over the batch): calls add for each, with the value to divide the sum by.
     * [instance of the graph] */
    mt_status (*metrics)(void *ctx, const mt_objective *objective, void *receiver,
                         mt_status (*add)(void *receiver, mt_str name, mt_value sum, mt_value count, mt_error *error),
                         mt_error *error);
} mt_alignment_table;

#endif
