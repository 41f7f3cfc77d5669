/* Kind "martlet.engine/1" (draft): generation for many clients at once. And the service that engines stand on. */
#ifndef MARTLET_KINDS_ENGINE_H
#define MARTLET_KINDS_ENGINE_H

#include "../base.h"

#define MT_KIND_ENGINE "martlet.engine/1"

typedef struct mt_engine mt_engine;

/* Events of poll. */
#define MT_EVENT_TOKEN 1
#define MT_EVENT_FINISHED 2 /* no token: see reason */
#define MT_EVENT_FAILED 3   /* the request cannot go on: see message */
#define MT_REASON_STOP 1    /* an end token, which is not among the tokens */
#define MT_REASON_LENGTH 2  /* max_tokens, or the model's or the cache's room */
#define MT_REASON_CANCELLED 3
#define MT_REASON_ERROR 4

typedef struct mt_request {
    uint32_t struct_size;
    uint32_t reserved;
    const int32_t *prompt;
    size_t prompt_count;
    mt_str sampling;      /* JSON, each key absent = off: temperature (off = the likeliest token), top_k, top_p, min_p,
                           * repetition_penalty, presence_penalty, frequency_penalty, logit_bias {id: add}, seed,
                           * max_tokens, stop_ids, ignore_eos, logprobs (n likeliest tokens beside the chosen one's own) */
    mt_str cache_salt;    /* requests share cached prefixes only under one salt */
} mt_request;

typedef struct mt_event {
    uint32_t struct_size;
    uint32_t kind;
    uint64_t request;
    int32_t token;
    uint32_t reason;
    float logprob;              /* of the token under the model alone, when asked for */
    uint32_t top_count;
    const int32_t *top_ids;     /* these, and message, are valid until the next poll */
    const float *top_logprobs;
    mt_str message;
} mt_event;

typedef struct mt_engine_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* Loads a model. `options` is JSON: {"model": "...", "max_tokens_per_step": n, "cache_bytes": n, "block_size": n,
     * "max_sequences": n, "max_queue": n, "max_model_len": n, "prefix_caching": bool, …}. [any] */
    mt_status (*load)(void *ctx, mt_str options, mt_engine **out, mt_error *error);
    /* Queues a request; MT_BUSY when the queue is full, MT_INVALID when it can never be served. [any] */
    mt_status (*submit)(void *ctx, mt_engine *engine, const mt_request *request, uint64_t *id, mt_error *error);
    /* Does one step of work for all requests in hand; *idle is true when there was none. [instance] */
    mt_status (*step)(void *ctx, mt_engine *engine, bool *idle, mt_error *error);
    /* Takes the next event, if any. One thread at a time, which need not be the one that steps. [any] */
    bool (*poll)(void *ctx, mt_engine *engine, mt_event *out);
    /* Ends a request; its blocks are free before the next step runs, and its last event is MT_EVENT_FINISHED. An unknown
     * or finished request is passed over. [any] */
    void (*cancel)(void *ctx, mt_engine *engine, uint64_t id);
    /* JSON: waiting, running, blocks, blocks_used, block_size, max_model_len, prompt_tokens, cached_tokens, new_tokens,
     * steps, preemptions. [any] */
    mt_status (*stats)(void *ctx, mt_engine *engine, mt_sink out, mt_error *error);
    void (*unload)(void *ctx, mt_engine *engine); /* [instance] */
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
    const int32_t *slots;       /* [T] cache slot each row is written to: block * block_size + offset; -1 = none */
    const int32_t *segments;    /* [S + 1] cumulative rows */
    const int32_t *context;     /* [S] positions of the sequence that are in the cache after this step */
    const int32_t *block_table; /* [S, B] */
    const int32_t *logit_rows;  /* [L] rows whose logits are wanted */
    uint64_t logit_count;       /* L; may be 0 */
    const int32_t *lengths;     /* [S] how long each sequence is as far as it is known; NULL: as `context` */
} mt_batch;

typedef struct mt_model_runner {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    /* Opens the model that `options` (as for load) names. [any] */
    mt_status (*open)(void *ctx, mt_str options, mt_runner **out, mt_error *error);
    void (*close)(void *ctx, mt_runner *runner); /* [instance] */
    /* JSON: vocab_size, max_positions (0 = no limit), layers, block_multiple (block sizes are multiples of it),
     * cache_bytes_per_position, window (the longest of the layers' attention windows; 0 when one sees all),
     * rope_growth (null unless what a position's keys are depends on the sequence's length past "from" tokens. "rule" is
     * "exchange": all are computed anew when the length passes it; "current": those that come later differ; "prompt": the
     * length in `lengths` is the prompt's. Blocks of the two sides, and past it of different lengths, are not shared),
     * end_ids, memory_bytes and memory_free_bytes of the device. [any] */
    mt_status (*describe)(void *ctx, mt_runner *runner, mt_sink out, mt_error *error);
    /* Gives the model a cache of `blocks` blocks of `block_size` positions. [instance] */
    mt_status (*reserve)(void *ctx, mt_runner *runner, uint32_t blocks, uint32_t block_size, mt_error *error);
    /* Runs a step and points *logits at [L, vocab] in f32, the caller's to change, valid until the next run. [instance] */
    mt_status (*run)(void *ctx, mt_runner *runner, const mt_batch *batch, float **logits, mt_error *error);
} mt_model_runner;

#endif
