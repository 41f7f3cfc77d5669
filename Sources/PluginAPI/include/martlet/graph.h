/* The graph builder: a model family, tuner, loss or optimizer states its mathematics once, here.
 *
 * Shapes are concrete and tokens are flat: an activation is [tokens, width], with no batch axis and no padding.
 * One function adds a node, one reads what a value is; the helpers below are thin. The ops, their inputs, attributes
 * and shape rules are listed in Documentation/Ops.md, which is generated from the host's op table.
 */
#ifndef MARTLET_GRAPH_H
#define MARTLET_GRAPH_H

#include "base.h"
#include "host.h"

#define MT_SERVICE_GRAPH "martlet.graph/1"
#define MT_MAX_RANK 6

typedef struct mt_graph mt_graph;

/* A value of one graph. index 0 is "none". */
typedef struct mt_value {
    uint32_t graph;
    uint32_t index;
} mt_value;

/* Element types of values. */
#define MT_F32 1
#define MT_BF16 2
#define MT_F16 3
#define MT_I32 4
#define MT_U32 5
#define MT_U8 6

typedef struct mt_value_info {
    uint32_t struct_size;
    uint32_t type; /* MT_F32 ... */
    uint32_t rank;
    uint32_t reserved;
    int64_t dims[MT_MAX_RANK];
} mt_value_info;

/* Attribute types; the array types use count. */
#define MT_ATTR_INT 1
#define MT_ATTR_FLOAT 2
#define MT_ATTR_BOOL 3
#define MT_ATTR_STRING 4
#define MT_ATTR_INTS 5
#define MT_ATTR_FLOATS 6

typedef struct mt_attr {
    mt_str name;
    uint32_t type;
    uint32_t count; /* elements of ints or floats */
    union {         /* chosen by type; bool travels in i */
        int64_t i;
        double f;
        mt_str s;
        const int64_t *ints;
        const double *floats;
    } value;
} mt_attr;

/* Parameter flags. */
#define MT_PARAMETER_TRANSPOSED 1u /* the checkpoint stores this matrix as [in, out] */
#define MT_PARAMETER_OPTIONAL 2u   /* absent from the checkpoint: the value is zero */

/* A failure is also remembered by the graph: the first one is reported by
 * whoever asked for the build, so that a chain of calls may check once at its end. */
typedef struct mt_graph_api {
    uint32_t struct_size;
    uint32_t reserved;
    /* Adds a node. Writes min(outputs of the op, output_count) values. An input of index 0 stands for an optional
     * input that is left out. [instance of the graph] */
    mt_status (*emit)(mt_graph *graph, mt_str op, const mt_value *inputs, size_t input_count, const mt_attr *attrs,
                      size_t attr_count, mt_value *outputs, size_t output_count, mt_error *error);
    /* [instance of the graph] */
    mt_status (*describe)(mt_graph *graph, mt_value value, mt_value_info *out, mt_error *error);
    /* The parameter `name` of the checkpoint, with the names of the open blocks before it: inside block
     * "model.layers.0", "mlp.up_proj.weight" is "model.layers.0.mlp.up_proj.weight". A name that starts with '/' is
     * taken from the root. The same name gives the same value. [instance of the graph] */
    mt_status (*parameter)(mt_graph *graph, mt_str name, const int64_t *dims, size_t rank, uint32_t flags, uint32_t reserved,
                           mt_value *out, mt_error *error);
    /* A constant; `data` holds the elements in row-major order and is copied. [instance of the graph] */
    mt_status (*constant)(mt_graph *graph, uint32_t type, const int64_t *dims, size_t rank, const void *data, size_t size,
                          mt_value *out, mt_error *error);
    /* y = x wᵀ (+ b) over the parameter `name`.weight of [out_features, in], and `name`.bias with has_bias: the site
     * that tuners, quantizers and sharding address by name. `flags` are parameter flags of the weight.
     * [instance of the graph] */
    mt_status (*linear)(mt_graph *graph, mt_str name, mt_value x, int64_t out_features, bool has_bias, uint32_t flags,
                        mt_value *out, mt_error *error);
    /* Opens and closes a block: a layer, for recomputation, pipeline cuts and names. Blocks nest.
     * [instance of the graph] */
    mt_status (*open_block)(mt_graph *graph, mt_str name, mt_error *error);
    mt_status (*close_block)(mt_graph *graph, mt_error *error); /* [instance of the graph] */
} mt_graph_api;

/* ---- helpers for C ---- */

/* A builder that keeps the first error and turns every later call into nothing. */
typedef struct mt_builder {
    const mt_graph_api *api;
    mt_graph *graph;
    mt_error *error;
    mt_status status;
    uint32_t reserved;
} mt_builder;

static inline mt_builder mt_builder_make(const mt_graph_api *api, mt_graph *graph, mt_error *error) {
    mt_builder b = {api, graph, error, MT_OK, 0};
    return b;
}

static inline mt_value mt_op(mt_builder *b, mt_str op, const mt_value *inputs, size_t input_count, const mt_attr *attrs,
                             size_t attr_count) {
    mt_value out = {0, 0};
    if (b->status == MT_OK)
        b->status = b->api->emit(b->graph, op, inputs, input_count, attrs, attr_count, &out, 1, b->error);
    return out;
}
static inline mt_attr mt_attr_make(mt_str name, uint32_t type, uint32_t count) {
    mt_attr a;
    a.name = name;
    a.type = type;
    a.count = count;
    a.value.i = 0;
    return a;
}
static inline mt_attr mt_attr_float(mt_str name, double value) {
    mt_attr a = mt_attr_make(name, MT_ATTR_FLOAT, 1);
    a.value.f = value;
    return a;
}
static inline mt_attr mt_attr_int(mt_str name, int64_t value) {
    mt_attr a = mt_attr_make(name, MT_ATTR_INT, 1);
    a.value.i = value;
    return a;
}
static inline mt_attr mt_attr_bool(mt_str name, bool value) {
    mt_attr a = mt_attr_make(name, MT_ATTR_BOOL, 1);
    a.value.i = value;
    return a;
}
static inline mt_attr mt_attr_ints(mt_str name, const int64_t *values, size_t count) {
    mt_attr a = mt_attr_make(name, MT_ATTR_INTS, (uint32_t)count);
    a.value.ints = values;
    return a;
}
static inline mt_value mt_unary(mt_builder *b, mt_str op, mt_value x) { return mt_op(b, op, &x, 1, NULL, 0); }
static inline mt_value mt_binary(mt_builder *b, mt_str op, mt_value x, mt_value y) {
    mt_value in[2] = {x, y};
    return mt_op(b, op, in, 2, NULL, 0);
}
static inline mt_value mt_add(mt_builder *b, mt_value x, mt_value y) { return mt_binary(b, MT_STR("add"), x, y); }
static inline mt_value mt_mul(mt_builder *b, mt_value x, mt_value y) { return mt_binary(b, MT_STR("mul"), x, y); }
static inline mt_value mt_parameter(mt_builder *b, mt_str name, const int64_t *dims, size_t rank, uint32_t flags) {
    mt_value out = {0, 0};
    if (b->status == MT_OK) b->status = b->api->parameter(b->graph, name, dims, rank, flags, 0, &out, b->error);
    return out;
}
static inline mt_value mt_linear(mt_builder *b, mt_str name, mt_value x, int64_t out_features, bool has_bias) {
    mt_value out = {0, 0};
    if (b->status == MT_OK) b->status = b->api->linear(b->graph, name, x, out_features, has_bias, 0, &out, b->error);
    return out;
}
static inline mt_value mt_reshape(mt_builder *b, mt_value x, const int64_t *dims, size_t rank) {
    mt_attr a = mt_attr_ints(MT_STR("shape"), dims, rank);
    return mt_op(b, MT_STR("reshape"), &x, 1, &a, 1);
}
static inline mt_value mt_rms_norm(mt_builder *b, mt_str weight, mt_value x, int64_t width, double eps) {
    mt_value in[2] = {x, mt_parameter(b, weight, &width, 1, 0)};
    mt_attr a = mt_attr_float(MT_STR("eps"), eps);
    return mt_op(b, MT_STR("rms_norm"), in, 2, &a, 1);
}
static inline void mt_open_block(mt_builder *b, mt_str name) {
    if (b->status == MT_OK) b->status = b->api->open_block(b->graph, name, b->error);
}
static inline void mt_close_block(mt_builder *b) {
    if (b->status == MT_OK) b->status = b->api->close_block(b->graph, b->error);
}

#endif
