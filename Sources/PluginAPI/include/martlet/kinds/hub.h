/* Kind "martlet.hub/1" (draft): where models and data sets come from. A hub says what to fetch; the host fetches. */
#ifndef MARTLET_KINDS_HUB_H
#define MARTLET_KINDS_HUB_H

#include "../base.h"

#define MT_KIND_HUB "martlet.hub/1"

typedef struct mt_hub_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* How well this hub knows names such as `id` ("org/name", "wheel:name==version", a path): 0 = not at all. [any] */
    int32_t (*probe)(void *ctx, mt_str id);
    /* The request that lists the files of an id. JSON in: {"id", "revision", "kind": "model" | "dataset", "endpoint",
     * "token"}; JSON out: {"url", "headers": {...}}, or {"path": "..."} for a local directory. [any] */
    mt_status (*listing)(void *ctx, mt_str query, mt_sink out, mt_error *error);
    /* Reads the answer to that request. JSON out: {"revision": "...", "files": [{"name", "size", "sha256" | null,
     * "git_sha1" | null, "url", "headers": {...}, "unpack": "zip" | null}], "next": {"url", "headers"} | null}. [any] */
    mt_status (*files)(void *ctx, mt_str query, mt_bytes answer, mt_sink out, mt_error *error);
} mt_hub_table;

#endif
