/* fails kind-model-graph: a token sees the one before it, be it of another sequence */
#define _GNU_SOURCE
#define MIX(b, x) mt_add(b, x, before(b, x))
#include <martlet/martlet.h>
static mt_value part(mt_builder *b, mt_value x, int64_t end) {
    mt_attr attrs[3] = {mt_attr_int(MT_STR("axis"), 0), mt_attr_int(MT_STR("start"), 0), mt_attr_int(MT_STR("end"), end)};
    return mt_op(b, MT_STR("slice"), &x, 1, attrs, 3);
}
static mt_value before(mt_builder *b, mt_value x) {
    mt_value_info info = {.struct_size = sizeof info};
    b->api->describe(b->graph, x, &info, b->error);
    mt_value first = part(b, x, 1);
    mt_value parts[2] = {mt_binary(b, MT_STR("sub"), first, first), part(b, x, info.dims[0] - 1)};
    mt_attr axis = mt_attr_int(MT_STR("axis"), 0);
    return mt_op(b, MT_STR("concat"), parts, 2, &axis, 1);
}
#include "model.h"
