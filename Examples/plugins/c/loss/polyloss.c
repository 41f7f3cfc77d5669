/* PolyLoss (Leng et al. 2022, 2204.12511, Poly-1): the mean over trained tokens of -log p + epsilon (1 - p).
 * kinds/alignment.h says what each function promises. */
#include <martlet/define.h>
#include <martlet/martlet.h>

static const mt_graph_api *graph_api; /* services of the host, found by initialize */
static const mt_config *config_api;

/* settings.epsilon, 1 where it is not given. */
static mt_status read_epsilon(mt_str settings, double *out, mt_error *error) {
    if (!config_api) return mt_fail(error, MT_UNSUPPORTED, "the host has no config service", "");
    mt_document *json;
    mt_status status = config_api->parse(config_api->ctx, settings, &json, error);
    if (status != MT_OK) return status;
    status = config_api->number(config_api->ctx, json, MT_STR("epsilon"), out, error);
    config_api->close(config_api->ctx, json);
    if (status == MT_NOT_FOUND) {
        *out = 1;
        return MT_OK;
    }
    return status;
}

/* Log-probabilities of the labels are always there; nothing else is asked for. */
static mt_status needs(void *ctx, mt_str settings, uint32_t *out, mt_error *error) {
    (void)ctx;
    double epsilon;
    *out = 0;
    return read_epsilon(settings, &epsilon, error);
}

/* The sum over all elements, as a scalar. */
static mt_value total(mt_builder *b, mt_value x) {
    mt_attr attrs[2] = {mt_attr_ints(MT_STR("axes"), NULL, 0), mt_attr_bool(MT_STR("keep_dimensions"), false)};
    return mt_op(b, MT_STR("sum"), &x, 1, attrs, 2);
}

static mt_status loss(void *ctx, const mt_objective *batch, mt_value *out, mt_error *error) {
    (void)ctx;
    double epsilon;
    mt_status status = read_epsilon(batch->settings, &epsilon, error);
    if (status != MT_OK) return status;
    if (!graph_api) return mt_fail(error, MT_UNSUPPORTED, "the host has no graph service", "");
    mt_builder b = mt_builder_make(graph_api, batch->graph, error);
    mt_attr one = mt_attr_float(MT_STR("value"), 1), factor = mt_attr_float(MT_STR("factor"), epsilon);
    mt_value miss = mt_unary(&b, MT_STR("neg"), mt_unary(&b, MT_STR("exp"), batch->logps));
    miss = mt_op(&b, MT_STR("add_scalar"), &miss, 1, &one, 1);
    miss = mt_op(&b, MT_STR("scale"), &miss, 1, &factor, 1);
    mt_value each = mt_mul(&b, mt_binary(&b, MT_STR("sub"), miss, batch->logps), batch->weights);
    *out = mt_binary(&b, MT_STR("div"), total(&b, each), mt_reshape(&b, batch->normalizer, NULL, 0));
    return b.status;
}

/* Named sums and what to divide each by: how likely the labels are. */
static mt_status metrics(void *ctx, const mt_objective *batch, void *receiver,
                         mt_status (*add)(void *receiver, mt_str name, mt_value sum, mt_value count, mt_error *error),
                         mt_error *error) {
    (void)ctx;
    if (!graph_api) return mt_fail(error, MT_UNSUPPORTED, "the host has no graph service", "");
    mt_builder b = mt_builder_make(graph_api, batch->graph, error);
    mt_value sum = total(&b, mt_mul(&b, mt_unary(&b, MT_STR("exp"), batch->logps), batch->weights));
    mt_value count = total(&b, batch->weights);
    return b.status == MT_OK ? add(receiver, MT_STR("label_probability"), sum, count, error) : b.status;
}

static const mt_alignment_table table = {sizeof table, 0, needs, loss, metrics};

static mt_status initialize(void *ctx, const mt_host *host, mt_error *error) {
    (void)ctx;
    (void)error;
    graph_api = host->service(host, MT_STR(MT_SERVICE_GRAPH));
    config_api = host->service(host, MT_STR(MT_SERVICE_CONFIG));
    return MT_OK;
}

static const mt_component components[] = {
    MT_COMPONENT(MT_KIND_ALIGNMENT, "polyloss", "Cross-entropy plus epsilon (1 - p)", &table),
};

MT_DEFINE_PLUGIN("example.polyloss", "0.1.0", components, initialize)
