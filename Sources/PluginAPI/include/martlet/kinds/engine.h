/* Kind "martlet.engine/1" (draft): generation for many clients at once. And the service that engines stand on. */
#ifndef MARTLET_KINDS_ENGINE_H
#define MARTLET_KINDS_ENGINE_H

#include "../base.h"

#define MT_KIND_ENGINE "martlet.engine/1"

typedef struct mt_engine mt_engine;

/* Events of poll. */
#define MT_EVENT_TOKEN 1
#define MT_EVENT_FINISHED 2 /* end token, length, stop or cancelled: see reason */
#define MT_EVENT_FAILED 3
#define MT_REASON_STOP 1
#define MT_REASON_LENGTH 2
#define MT_REASON_CANCELLED 3
#define MT_REASON_ERROR 4

typedef struct mt_request {
    uint32_t struct_size;
    uint32_t reserved;
    const int32_t *prompt;
    size_t prompt_count;
    mt_str sampling;      /* JSON: temperature, top_k, top_p, min_p, repetition_penalty, presence_penalty,
                           * frequency_penalty, seed, max_tokens, stop_ids, logprobs, ignore_eos */
    mt_str cache_salt;    /* requests share cached prefixes only under one salt */
} mt_request;

typedef struct mt_event {
    uint32_t struct_size;
    uint32_t kind;
    uint64_t request;
    int32_t token;
    uint32_t reason;
    float logprob;         /* of the token, when asked for */
    uint32_t top_count;
    const int32_t *top_ids; /* valid until the next poll */
    const float *top_logprobs;
} mt_event;

typedef struct mt_engine_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* Loads a model. `options` is JSON: {"model": "...", "max_tokens_per_step": n, "cache_bytes": n, "block_size": n,
     * "max_sequences": n, …}. [any] */
    mt_status (*load)(void *ctx, mt_str options, mt_engine **out, mt_error *error);
    /* Queues a request; MT_BUSY when the queue is full. [any] */
    mt_status (*submit)(void *ctx, mt_engine *engine, const mt_request *request, uint64_t *id, mt_error *error);
    /* Does one step of work for all requests in hand; *idle is true when there was none. [instance] */
    mt_status (*step)(void *ctx, mt_engine *engine, bool *idle, mt_error *error);
    /* Takes the next event, if any. [any] */
    bool (*poll)(void *ctx, mt_engine *engine, mt_event *out);
    /* Ends a request; its blocks are free before the next step runs. [any] */
    void (*cancel)(void *ctx, mt_engine *engine, uint64_t id);
    /* JSON: queued, running, cache blocks used and total, prefix hits, tokens in and out. [any] */
    mt_status (*stats)(void *ctx, mt_engine *engine, mt_sink out, mt_error *error);
    void (*unload)(void *ctx, mt_engine *engine);
} mt_engine_table;

/* ---- service: a model to run ---- */
#define MT_SERVICE_MODEL "martlet.model-runner/1"

typedef struct mt_runner mt_runner;

/* One step over a paged cache: T token rows of S sequences, ordered by sequence. */
typedef struct mt_batch {
    uint32_t struct_size;
    uint32_t token_count;       /* T */
    uint32_t sequence_count;    /* S */
    uint32_t block_table_width; /* B */
    const int32_t *ids;         /* [T] */
    const int32_t *positions;   /* [T] */
    const int32_t *slots;       /* [T] cache slot each row is written to: block * block_size + offset */
    const int32_t *segments;    /* [S + 1] cumulative rows */
    const int32_t *context;     /* [S] positions of the sequence that are in the cache after this step */
    const int32_t *block_table; /* [S, B] */
    const int32_t *logit_rows;  /* [L] rows whose logits are wanted */
    uint64_t logit_count;       /* L */
} mt_batch;

typedef struct mt_model_runner {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    /* Opens the model that `options` (as for load) names. [any] */
    mt_status (*open)(void *ctx, mt_str options, mt_runner **out, mt_error *error);
    void (*close)(void *ctx, mt_runner *runner);
    /* JSON: vocab_size, max_positions, layers, cache_bytes_per_block (for block_size), eos ids. [any] */
    mt_status (*describe)(void *ctx, mt_runner *runner, mt_sink out, mt_error *error);
    /* Gives the model a cache of `blocks` blocks of `block_size` positions. [instance] */
    mt_status (*reserve)(void *ctx, mt_runner *runner, uint32_t blocks, uint32_t block_size, mt_error *error);
    /* Runs a step and points *logits at [L, vocab] in f32, valid until the next run. [instance] */
    mt_status (*run)(void *ctx, mt_runner *runner, const mt_batch *batch, float **logits, mt_error *error);
} mt_model_runner;

#endif
