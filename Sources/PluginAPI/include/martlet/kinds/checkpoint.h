/* Kind "martlet.checkpoint/1" (draft): named tensors in files. The plugin reads headers; the host maps or reads data. */
#ifndef MARTLET_KINDS_CHECKPOINT_H
#define MARTLET_KINDS_CHECKPOINT_H

#include "../base.h"

#define MT_KIND_CHECKPOINT "martlet.checkpoint/1"

typedef struct mt_checkpoint mt_checkpoint;
typedef struct mt_checkpoint_writer mt_checkpoint_writer;

/* One tensor. Texts and arrays live as long as the checkpoint is open. */
typedef struct mt_tensor_entry {
    uint32_t struct_size;
    uint32_t rank;
    mt_str name;           /* as the published checkpoint of the model spells it */
    mt_str layout;         /* "f32" "bf16" "f16" "q4_0" "q4_k" …: Documentation/Layouts.md */
    const int64_t *shape;  /* outermost first, in elements */
    uint32_t file;         /* index into the checkpoint's files */
    uint32_t permuted_heads; /* not 0: rows are stored in the interleaved rope order over this many heads; the host
                              * restores them (row 2i+j of a head's pairs belongs at j * head/2 + i) */
    uint64_t offset;       /* bytes from the file's start */
    uint64_t size;         /* bytes */
    double addend;         /* added to every element on reading (GGUF's Gemma norms hold w + 1: -1) */
} mt_tensor_entry;

typedef struct mt_checkpoint_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* How well this plugin reads `path`, a file or a directory: 0 = not at all. Reads a few bytes at most. [any] */
    int32_t (*probe)(void *ctx, mt_str path);
    /* Reads and checks every header. [any] */
    mt_status (*open)(void *ctx, mt_str path, mt_checkpoint **out, mt_error *error);
    void (*close)(void *ctx, mt_checkpoint *checkpoint); /* [instance] */
    size_t (*tensor_count)(void *ctx, const mt_checkpoint *checkpoint);                                   /* [any] */
    mt_status (*tensor)(void *ctx, const mt_checkpoint *checkpoint, size_t index, mt_tensor_entry *out, mt_error *error); /* [any] */
    size_t (*file_count)(void *ctx, const mt_checkpoint *checkpoint);                                     /* [any] */
    mt_str (*file)(void *ctx, const mt_checkpoint *checkpoint, size_t index); /* its path [any] */
    /* JSON: {"metadata": {...}, "config": {...} with Hugging Face's config.json keys when the file has its own,
     * "tokenizer": {...} the "gguf.json" document when the file has its own, "chat_template": text | null,
     * "linear_order": "out_in" when every linear weight is [out, in] here, also where the published checkpoint has
     * [in, out]}. [any] */
    mt_status (*describe)(void *ctx, const mt_checkpoint *checkpoint, mt_sink out, mt_error *error);
    /* Writing: beside the destination, flushed, renamed by finish. `options` is JSON: {"max_shard_bytes": n,
     * "metadata": {...}, "config": {...}, "tokenizer": {...}}. `tensors` declares every tensor in order (file and
     * offset unused); write is then called once for each, in that order. [instance] */
    mt_status (*create)(void *ctx, mt_str path, mt_str options, const mt_tensor_entry *tensors, size_t count,
                        mt_checkpoint_writer **out, mt_error *error);
    mt_status (*write)(void *ctx, mt_checkpoint_writer *writer, mt_bytes data, mt_error *error); /* [instance] */
    mt_status (*finish)(void *ctx, mt_checkpoint_writer *writer, mt_error *error); /* [instance] */
    /* Closes the writer; without finish, nothing is left behind. [instance] */
    void (*abandon)(void *ctx, mt_checkpoint_writer *writer);
} mt_checkpoint_table;

#endif
