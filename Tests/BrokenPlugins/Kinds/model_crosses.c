/* fails kind-model-graph: what one sequence holds reaches the other */
#define _GNU_SOURCE
#define MIX(b, x) mt_add(b, x, mix(b, x))
#include <martlet/martlet.h>
static mt_value mix(mt_builder *b, mt_value x) {
    int64_t axis = 0;
    mt_attr attrs[2] = {mt_attr_ints(MT_STR("axes"), &axis, 1), mt_attr_bool(MT_STR("keep_dimensions"), true)};
    return mt_op(b, MT_STR("mean"), &x, 1, attrs, 2);
}
#include "model.h"
