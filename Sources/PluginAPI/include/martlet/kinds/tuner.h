/* Kind "martlet.tuner/1" (draft): what is added to a linear site when it is trained. */
#ifndef MARTLET_KINDS_TUNER_H
#define MARTLET_KINDS_TUNER_H

#include "../base.h"
#include "../graph.h"

#define MT_KIND_TUNER "martlet.tuner/1"

/* A linear site that the tuner is asked about. */
typedef struct mt_site {
    uint32_t struct_size;
    uint32_t reserved;
    mt_str name;      /* "model.layers.0.self_attn.q_proj" */
    int64_t in;       /* input width */
    int64_t out;      /* output width */
    mt_value x;       /* [T, in] */
    mt_value y;       /* [T, out], the frozen product; its bias is added to what apply returns */
    mt_value weight;  /* [out, in], the frozen weight, any layout */
} mt_site;

typedef struct mt_tuner_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* JSON array of the tensors of a site: [{"name": "lora_A.weight", "shape": [r, in],
     * "init": "zeros" | "ones" | "kaiming_uniform" | "normal:STD" | "weight_norm" | "computed", "group": "a",
     * "trained": true, "join": {"tensor": "start_A.weight", "axis": 0, "factor": 1.0}}]. "computed" asks `initial`; a tensor that
     * is not trained keeps its first values; "join" says that the published tensor is this one followed along `axis` by another
     * of the site's times `factor`. `settings` is the tuner's JSON. [any] */
    mt_status (*parameters)(void *ctx, mt_str settings, const mt_site *site, mt_sink out, mt_error *error);
    /* Emits y' from x, y and the trained tensors, given in the order of `parameters`. `training` turns dropout on.
     * [instance of the graph] */
    mt_status (*apply)(void *ctx, mt_str settings, mt_graph *graph, const mt_site *site, const mt_value *trained,
                       size_t trained_count, bool training, mt_value *out, mt_error *error);
    /* Emits the merged weight [out, in] in f32. MT_UNSUPPORTED when this tuner cannot be merged. [instance] */
    mt_status (*merge)(void *ctx, mt_str settings, mt_graph *graph, const mt_site *site, const mt_value *trained,
                       size_t trained_count, mt_value *out, mt_error *error);
    /* Writes the published adapter_config.json for `settings`, and reads one back. [any] */
    mt_status (*write_config)(void *ctx, mt_str settings, mt_sink out, mt_error *error);
    mt_status (*read_config)(void *ctx, mt_str config, mt_sink settings, mt_error *error); /* [any] */
    /* First values of the tensors whose init is "computed", from the frozen weight [out, in] in f32. out[i] is the memory of
     * tensor i in the order of `parameters`, NULL where none is wanted. NULL where a tuner computes none. [any] */
    mt_status (*initial)(void *ctx, mt_str settings, const mt_site *site, const float *weight, float *const *out, size_t count,
                         mt_error *error);
} mt_tuner_table;

#endif
