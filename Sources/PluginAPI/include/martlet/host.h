/* Services that the host offers to plugins. Ask by id; NULL means that this host does not have it. */
#ifndef MARTLET_HOST_H
#define MARTLET_HOST_H

#include "base.h"
#include "plugin.h"

struct mt_host {
    uint32_t struct_size;
    uint16_t abi_major;
    uint16_t abi_minor; /* the host's own */
    mt_str name;        /* "martlet" */
    mt_str version;
    /* The table of service `id`, alive as long as the process, or NULL. [any] */
    const void *(*service)(const mt_host *host, mt_str id);
};

/* ---- log ---- */
#define MT_SERVICE_LOG "martlet.log/1"
#define MT_LOG_DEBUG 0
#define MT_LOG_INFO 1
#define MT_LOG_WARNING 2
#define MT_LOG_ERROR 3
typedef struct mt_log {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    /* Writes one line; `source` is the plugin or component id. [any] */
    void (*write)(void *ctx, int32_t level, mt_str source, mt_str message);
} mt_log;

/* ---- config: typed reads of a JSON document ---- */
#define MT_SERVICE_CONFIG "martlet.config/1"
typedef struct mt_document mt_document;
typedef struct mt_config {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    /* Parses `text`. The document is the caller's to close. [any] */
    mt_status (*parse)(void *ctx, mt_str text, mt_document **out, mt_error *error);
    void (*close)(void *ctx, mt_document *document); /* [instance] */
    /* Reads the value at a path such as "rope_scaling.factor" or "layers[2]". MT_NOT_FOUND where it is absent or null,
     * MT_INVALID, naming path, found and wanted, where it is of another type. [any] */
    mt_status (*integer)(void *ctx, const mt_document *document, mt_str path, int64_t *out, mt_error *error);
    mt_status (*number)(void *ctx, const mt_document *document, mt_str path, double *out, mt_error *error); /* [any] */
    mt_status (*boolean)(void *ctx, const mt_document *document, mt_str path, bool *out, mt_error *error); /* [any] */
    mt_status (*string)(void *ctx, const mt_document *document, mt_str path, mt_sink out, mt_error *error); /* [any] */
    /* Elements of the array or members of the object at `path`. [any] */
    mt_status (*count)(void *ctx, const mt_document *document, mt_str path, size_t *out, mt_error *error);
    /* The plugin's own section of plugins.json as JSON text; "{}" when there is none. [any] */
    mt_status (*plugin_settings)(void *ctx, mt_str plugin_id, mt_sink out, mt_error *error);
} mt_config;

/* ---- registry ---- */
#define MT_SERVICE_REGISTRY "martlet.registry/1"
typedef struct mt_registry {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    /* The component `id` of `kind`, opening its plugin if needed. [main] */
    mt_status (*find)(void *ctx, mt_str kind, mt_str id, mt_component *out, mt_error *error);
    /* Writes the ids of a kind's components, one a line, in order of preference. [any] */
    mt_status (*list)(void *ctx, mt_str kind, mt_sink out, mt_error *error);
} mt_registry;

/* ---- threads ---- */
#define MT_SERVICE_THREADS "martlet.threads/1"
typedef struct mt_threads {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    /* Threads that work at once, the caller's included. [any] */
    size_t (*count)(void *ctx);
    /* Calls body(arg, index, thread) for index 0 ..< count, thread 0 ..< count(), and returns when all are done.
     * Must not be called from inside a body. [any] */
    void (*parallel_for)(void *ctx, size_t count, void (*body)(void *arg, size_t index, size_t thread), void *arg);
} mt_threads;

/* ---- files ---- */
#define MT_SERVICE_FILES "martlet.files/1"
typedef struct mt_files {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    /* Maps a whole file for reading; an empty file gives size 0. [any] */
    mt_status (*map)(void *ctx, mt_str path, mt_bytes *out, mt_error *error);
    void (*unmap)(void *ctx, mt_bytes bytes); /* [any] */
    /* A directory that the plugin may keep files in between runs. [any] */
    mt_status (*cache_directory)(void *ctx, mt_str plugin_id, mt_sink out, mt_error *error);
} mt_files;

/* ---- progress and cancellation ---- */
#define MT_SERVICE_PROGRESS "martlet.progress/1"
typedef struct mt_progress {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    /* Reports `done` of `total` (0 = unknown) for the task named `task`. [any] */
    void (*report)(void *ctx, mt_str task, uint64_t done, uint64_t total);
    /* True once the user asked to stop; long work returns MT_CANCELLED soon after. [any] */
    bool (*cancelled)(void *ctx);
} mt_progress;

/* ---- random ---- */
#define MT_SERVICE_RANDOM "martlet.random/1"
typedef struct mt_random {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    /* Philox4x32-10 (Salmon et al., SC 2011): four words for (seed, stream, counter). Pure. [any] */
    void (*block)(void *ctx, uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4]);
} mt_random;

/* ---- metrics ---- */
#define MT_SERVICE_METRICS "martlet.metrics/1"
typedef struct mt_metrics {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    /* Sets the gauge `name`. [any] */
    void (*set)(void *ctx, mt_str name, double value);
    /* Adds to the counter `name`. [any] */
    void (*add)(void *ctx, mt_str name, double amount);
} mt_metrics;

#endif
