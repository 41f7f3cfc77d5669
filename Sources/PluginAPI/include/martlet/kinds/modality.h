/* Kind "martlet.modality/1" (draft): an image, sound or film to the tensors that a model line reads. */
#ifndef MARTLET_KINDS_MODALITY_H
#define MARTLET_KINDS_MODALITY_H

#include "../base.h"

#define MT_KIND_MODALITY "martlet.modality/1"

typedef struct mt_prepared mt_prepared; /* what was made of one item */

typedef struct mt_modality_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* How well this plugin prepares items of `media` ("image", "audio", "video") for a model with this config.json and
     * preprocessor_config.json: 0 = not at all, 100 = names it. [any] */
    int32_t (*probe)(void *ctx, mt_str media, mt_str config, mt_str processor);
    /* Decodes and prepares one item, the bytes of a file in a published format. `options` is JSON, such as
     * {"max_pixels": n, "fps": 2.0}. MT_INVALID for a damaged file; sizes are bounded before memory is taken. [any] */
    mt_status (*prepare)(void *ctx, mt_str config, mt_str processor, mt_str options, mt_bytes item, mt_prepared **out,
                         mt_error *error);
    void (*release)(void *ctx, mt_prepared *prepared); /* [instance] */
    /* Tensor `index` of the item, by the name that the family's part reads ("pixel_values"); its memory lives as long
     * as `prepared`. MT_NOT_FOUND past the last. [any] */
    mt_status (*tensor)(void *ctx, const mt_prepared *prepared, size_t index, mt_sink name, mt_tensor *out, mt_error *error);
    /* Placeholder tokens that stand for the item in the prompt. [any] */
    size_t (*placeholders)(void *ctx, const mt_prepared *prepared);
    /* JSON: {"grid": [t, h, w] | null, "token": text, "prefix": text, "suffix": text, "seconds": number | null}. [any] */
    mt_status (*describe)(void *ctx, const mt_prepared *prepared, mt_sink out, mt_error *error);
} mt_modality_table;

#endif
