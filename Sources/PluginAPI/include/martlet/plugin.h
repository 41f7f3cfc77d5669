/* What a plugin library exports, and what it says of itself.
 *
 * A library exports one function, martlet_plugin_entry. Loading goes in three steps: the manifest (plugin.json) is
 * read and checked without running any code of the plugin; the library is opened and its entry asked for the
 * descriptor, which must agree with the manifest; then init runs, and the host enumerates the components and
 * registers all of them or none.
 */
#ifndef MARTLET_PLUGIN_H
#define MARTLET_PLUGIN_H

#include "base.h"

typedef struct mt_host mt_host;

/* One thing a plugin offers: an implementation of a kind. */
typedef struct mt_component {
    uint32_t struct_size;
    int32_t priority;  /* breaks ties between components that score the same; 0 is usual */
    mt_str kind;       /* interface id, such as "martlet.model/1" */
    mt_str id;         /* name within the kind, such as "llama" */
    mt_str summary;    /* one line for listings */
    const void *table; /* the kind's table of functions */
    void *ctx;         /* passed as the first argument to each of them */
} mt_component;

/* The descriptor. It lives as long as the process. */
typedef struct mt_plugin {
    uint32_t struct_size;
    uint16_t abi_major; /* MT_ABI_MAJOR */
    uint16_t abi_minor; /* the lowest minor that the plugin needs */
    mt_str id;          /* reverse-domain or short name; as in the manifest */
    mt_str version;     /* semantic version; as in the manifest */
    void *ctx;

    /* Called once, after the descriptor was accepted. May do I/O. [main] */
    mt_status (*init)(void *ctx, const mt_host *host, mt_error *error);
    /* Undoes init; no component is used after it. The library stays mapped. [main] */
    void (*deinit)(void *ctx);
    /* Number of components; constant after init. [any] */
    size_t (*component_count)(void *ctx);
    /* Describes component `index` into *out, whose struct_size the host has set. [any] */
    mt_status (*component)(void *ctx, size_t index, mt_component *out, mt_error *error);
    /* Other interfaces by id; NULL for an unknown id. [any] */
    const void *(*interface)(void *ctx, mt_str id);
} mt_plugin;

/* The entry. Does no I/O and starts no thread. NULL on failure, with *error filled.
 * The host pointer stays valid for the life of the process. [main] */
typedef const mt_plugin *(*mt_plugin_entry)(const mt_host *host, mt_error *error);

#define MT_PLUGIN_ENTRY_SYMBOL "martlet_plugin_entry"

#if defined(__GNUC__)
#define MT_EXPORT __attribute__((visibility("default")))
#else
#define MT_EXPORT
#endif

#endif
