/* Kind "martlet.tokenizer/1" (draft): text to token ids and back. */
#ifndef MARTLET_KINDS_TOKENIZER_H
#define MARTLET_KINDS_TOKENIZER_H

#include "../base.h"

#define MT_KIND_TOKENIZER "martlet.tokenizer/1"

/* A file that belongs to a tokenizer: "tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", "vocab.txt",
 * "tokenizer_config.json" …; for a GGUF file one "gguf.json" with its tokenizer.ggml.* entries. */
typedef struct mt_named_bytes {
    mt_str name;
    mt_bytes bytes;
} mt_named_bytes;

typedef struct mt_tokenizer_source {
    uint32_t struct_size;
    uint32_t file_count;
    const mt_named_bytes *files; /* borrowed for the call */
} mt_tokenizer_source;

typedef struct mt_tokenizer mt_tokenizer;
typedef struct mt_decoder mt_decoder;

/* encode flags */
#define MT_ENCODE_ADD_SPECIAL 1u   /* beginning and end tokens as the post-processor or the defaults say */
#define MT_ENCODE_PARSE_SPECIAL 2u /* special tokens spelled in the text become their ids */
/* decode flags */
#define MT_DECODE_SKIP_SPECIAL 1u

typedef struct mt_tokenizer_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* How well this plugin reads the source: 0 = not at all, 100 = exactly its own format. [any] */
    int32_t (*probe)(void *ctx, const mt_tokenizer_source *source);
    mt_status (*open)(void *ctx, const mt_tokenizer_source *source, mt_tokenizer **out, mt_error *error); /* [any] */
    void (*close)(void *ctx, mt_tokenizer *tokenizer);                                                    /* [instance] */
    /* Writes the ids of `text` as int32 to `out`; bytes that are no UTF-8 count as U+FFFD. [any] */
    mt_status (*encode)(void *ctx, const mt_tokenizer *tokenizer, mt_str text, uint32_t flags, mt_sink out, mt_error *error);
    /* Writes the UTF-8 text of `ids`. [any] */
    mt_status (*decode)(void *ctx, const mt_tokenizer *tokenizer, const int32_t *ids, size_t count, uint32_t flags,
                        mt_sink out, mt_error *error);
    /* Decoding one token at a time; never writes a part of a character, finish writes what is left. [instance] */
    mt_status (*decoder_open)(void *ctx, const mt_tokenizer *tokenizer, uint32_t flags, mt_decoder **out, mt_error *error);
    mt_status (*decoder_push)(void *ctx, mt_decoder *decoder, int32_t id, mt_sink out, mt_error *error); /* [instance] */
    mt_status (*decoder_finish)(void *ctx, mt_decoder *decoder, mt_sink out, mt_error *error); /* [instance] */
    void (*decoder_close)(void *ctx, mt_decoder *decoder); /* [instance] */
    /* The piece of `id` as it stands in the vocabulary; MT_NOT_FOUND beyond its end. [any] */
    mt_status (*piece)(void *ctx, const mt_tokenizer *tokenizer, int32_t id, mt_sink out, mt_error *error);
    /* The id of a piece, or of an added token; -1 where there is none. [any] */
    int32_t (*id_of)(void *ctx, const mt_tokenizer *tokenizer, mt_str piece);
    /* JSON: {"type": "...", "vocab_size": n, "bos": id|null, "eos": id|null, "unk":, "pad":, "eot": …,
     * "add_bos": bool, "add_eos": bool, "special": [ids]}, and where two texts stand together in a way of their own
     * "pair": [{"text": 0 | 1 or "id": id, "type": n}, …]. [any] */
    mt_status (*describe)(void *ctx, const mt_tokenizer *tokenizer, mt_sink out, mt_error *error);
} mt_tokenizer_table;

#endif
