/* Kind "martlet.dataset/1" (draft): rows of a file as JSON objects. */
#ifndef MARTLET_KINDS_DATASET_H
#define MARTLET_KINDS_DATASET_H

#include "../base.h"

#define MT_KIND_DATASET "martlet.dataset/1"

typedef struct mt_rows mt_rows;

typedef struct mt_dataset_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* How well this plugin reads the file: 0 = not at all. `head` holds its first bytes, decompressed. [any] */
    int32_t (*probe)(void *ctx, mt_str path, mt_bytes head);
    /* Opens `path`. `options` is JSON, such as {"columns": {...}, "delimiter": ","}. [any] */
    mt_status (*open)(void *ctx, mt_str path, mt_str options, mt_rows **out, mt_error *error);
    /* Writes the next row as one JSON object. *found is false at the end. A damaged row is MT_INVALID with its cause
     * as message and its line as where ("line 12"); what was written is then the start of its text as it stands, for
     * the report, and the next call goes on behind it. Any other status ends the reading. With a row, where may say
     * where it starts ("line 12"); else the host counts rows. [instance] */
    mt_status (*next)(void *ctx, mt_rows *rows, mt_sink out, bool *found, mt_error *error);
    /* A cursor to the row that next would give, as an opaque text, and the return to one. [instance] */
    mt_status (*cursor)(void *ctx, mt_rows *rows, mt_sink out, mt_error *error);
    mt_status (*seek)(void *ctx, mt_rows *rows, mt_str cursor, mt_error *error); /* [instance] */
    /* The number of rows when it is known without reading them all, else -1. [any] */
    int64_t (*count)(void *ctx, const mt_rows *rows);
    void (*close)(void *ctx, mt_rows *rows); /* [instance] */
} mt_dataset_table;

#endif
