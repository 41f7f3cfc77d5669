/* Gradient descent with momentum (Polyak 1964), as PyTorch's SGD has it: m' = momentum * m + g + decay * p, p' = p - rate * m'.
 * kinds/optimizer.h says what each function promises. */
#include <martlet/define.h>
#include <martlet/martlet.h>
#include <stdio.h>

static const mt_graph_api *graph_api; /* services of the host, found by initialize */
static const mt_config *config_api;

/* One state, of the parameter's shape. */
static mt_status states(void *ctx, mt_str settings, const int64_t *shape, size_t rank, mt_sink out, mt_error *error) {
    (void)ctx;
    (void)settings;
    char json[256];
    int size = snprintf(json, sizeof json, "[{\"name\": \"momentum_buffer\", \"init\": 0, \"shape\": [");
    for (size_t i = 0; i < rank; i++) {
        size += snprintf(json + size, sizeof json - (size_t)size, "%s%lld", i ? ", " : "", (long long)shape[i]);
        if ((size_t)size >= sizeof json - 4) return mt_fail(error, MT_INVALID, "the parameter has too many axes", "shape");
    }
    size += snprintf(json + size, sizeof json - (size_t)size, "]}]");
    return out.write(out.ctx, json, (size_t)size, error);
}

/* settings.momentum, 0.9 where it is not given. */
static mt_status read_momentum(mt_str settings, double *out, mt_error *error) {
    if (!config_api) return mt_fail(error, MT_UNSUPPORTED, "the host has no config service", "");
    mt_document *json;
    mt_status status = config_api->parse(config_api->ctx, settings, &json, error);
    if (status != MT_OK) return status;
    status = config_api->number(config_api->ctx, json, MT_STR("momentum"), out, error);
    config_api->close(config_api->ctx, json);
    if (status == MT_NOT_FOUND) {
        *out = 0.9;
        return MT_OK;
    }
    if (status == MT_OK && !(*out >= 0 && *out < 1)) return mt_fail(error, MT_INVALID, "wanted a number from 0 to below 1", "momentum");
    return status;
}

static mt_value scaled(mt_builder *b, mt_value x, double factor) {
    mt_attr attr = mt_attr_float(MT_STR("factor"), factor);
    return mt_op(b, MT_STR("scale"), &x, 1, &attr, 1);
}

static mt_status update(void *ctx, const mt_update *u, mt_value *parameter, mt_value *states, mt_error *error) {
    (void)ctx;
    double momentum;
    mt_status status = read_momentum(u->settings, &momentum, error);
    if (status != MT_OK) return status;
    if (!graph_api) return mt_fail(error, MT_UNSUPPORTED, "the host has no graph service", "");
    if (u->state_count != 1) return mt_fail(error, MT_INVALID, "wanted the one state momentum_buffer", "states");
    mt_builder b = mt_builder_make(graph_api, u->graph, error);
    mt_value decayed = mt_add(&b, u->gradient, mt_mul(&b, u->parameter, u->weight_decay));
    states[0] = mt_add(&b, scaled(&b, u->states[0], momentum), decayed);
    *parameter = mt_binary(&b, MT_STR("sub"), u->parameter, mt_mul(&b, states[0], u->learning_rate));
    return b.status;
}

static const mt_optimizer_table table = {sizeof table, 0, states, update};

static mt_status initialize(void *ctx, const mt_host *host, mt_error *error) {
    (void)ctx;
    (void)error;
    graph_api = host->service(host, MT_STR(MT_SERVICE_GRAPH));
    config_api = host->service(host, MT_STR(MT_SERVICE_CONFIG));
    return MT_OK;
}

static const mt_component components[] = {
    MT_COMPONENT(MT_KIND_OPTIMIZER, "heavyball", "Gradient descent with momentum", &table),
};

MT_DEFINE_PLUGIN("example.heavyball", "0.1.0", components, initialize)
