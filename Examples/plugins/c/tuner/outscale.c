/* (IA)3 (Liu et al. 2022, 2205.05638): y' = y * l with l [out], trained from ones. PEFT keeps l as ia3_l [out, 1].
 * kinds/tuner.h says what each function promises. */
#include <martlet/define.h>
#include <martlet/martlet.h>
#include <stdio.h>
#include <string.h>

static const mt_graph_api *graph_api; /* services of the host, found by initialize */
static const mt_config *config_api;

static mt_status parameters(void *ctx, mt_str settings, const mt_site *site, mt_sink out, mt_error *error) {
    (void)ctx;
    (void)settings;
    char json[128];
    int size = snprintf(json, sizeof json, "[{\"name\": \"ia3_l\", \"shape\": [%lld, 1], \"init\": \"ones\"}]", (long long)site->out);
    return out.write(out.ctx, json, (size_t)size, error);
}

static mt_status apply(void *ctx, mt_str settings, mt_graph *graph, const mt_site *site, const mt_value *trained,
                       size_t trained_count, bool training, mt_value *out, mt_error *error) {
    (void)ctx;
    (void)settings;
    (void)training;
    if (!graph_api) return mt_fail(error, MT_UNSUPPORTED, "the host has no graph service", "");
    if (trained_count != 1) return mt_fail(error, MT_INVALID, "wanted the one tensor ia3_l", "trained");
    mt_builder b = mt_builder_make(graph_api, graph, error);
    int64_t row[2] = {1, -1};
    *out = mt_mul(&b, site->y, mt_reshape(&b, trained[0], row, 2));
    return b.status;
}

/* Each row of the weight makes one output. */
static mt_status merge(void *ctx, mt_str settings, mt_graph *graph, const mt_site *site, const mt_value *trained,
                       size_t trained_count, mt_value *out, mt_error *error) {
    (void)ctx;
    (void)settings;
    if (!graph_api) return mt_fail(error, MT_UNSUPPORTED, "the host has no graph service", "");
    if (trained_count != 1) return mt_fail(error, MT_INVALID, "wanted the one tensor ia3_l", "trained");
    mt_builder b = mt_builder_make(graph_api, graph, error);
    *out = mt_mul(&b, site->weight, trained[0]);
    return b.status;
}

/* ---- PEFT's adapter_config.json, and the settings that are made of one ---- */

static mt_status put(mt_sink out, const char *text, mt_error *error) { return out.write(out.ctx, text, strlen(text), error); }

/* Passes a text on as the inside of a JSON string. */
static mt_status escape(void *to, const void *data, size_t size, mt_error *error) {
    const mt_sink *out = to;
    const unsigned char *text = data;
    mt_status status = MT_OK;
    for (size_t i = 0, start = 0; i <= size && status == MT_OK; i++) {
        if (i < size && text[i] >= 0x20 && text[i] != '"' && text[i] != '\\') continue;
        if (i > start) status = out->write(out->ctx, text + start, i - start, error);
        start = i + 1;
        if (i == size || status != MT_OK) continue;
        char code[8];
        int length = snprintf(code, sizeof code, "\\u%04x", text[i]);
        status = out->write(out->ctx, code, (size_t)length, error);
    }
    return status;
}

/* Writes the text at `path` as JSON; MT_NOT_FOUND or MT_INVALID where there is none. */
static mt_status put_text(const mt_document *json, const char *path, mt_sink out, mt_error *error) {
    mt_sink inside = {&out, escape};
    mt_status status = put(out, "\"", error);
    if (status == MT_OK) status = config_api->string(config_api->ctx, json, (mt_str){path, strlen(path)}, inside, error);
    return status == MT_OK ? put(out, "\"", error) : status;
}

/* Whether there is a text at `path`. */
static mt_status ignore(void *to, const void *data, size_t size, mt_error *error) {
    (void)to, (void)data, (void)size, (void)error;
    return MT_OK;
}
static bool is_text(const mt_document *json, const char *path) {
    mt_error none = {.struct_size = sizeof none};
    mt_sink nowhere = {NULL, ignore};
    return config_api->string(config_api->ctx, json, (mt_str){path, strlen(path)}, nowhere, &none) == MT_OK;
}

/* A list of names or an expression, as it stands; null where there is neither. */
static mt_status put_modules(const mt_document *json, const char *path, mt_sink out, mt_error *error) {
    mt_error none = {.struct_size = sizeof none};
    size_t count = 0;
    if (is_text(json, path)) return put_text(json, path, out, error);
    if (config_api->count(config_api->ctx, json, (mt_str){path, strlen(path)}, &count, &none) != MT_OK) return put(out, "null", error);
    mt_status status = put(out, "[", error);
    for (size_t i = 0; i < count && status == MT_OK; i++) {
        char element[64];
        snprintf(element, sizeof element, "%s[%zu]", path, i);
        if (i) status = put(out, ", ", error);
        if (status == MT_OK) status = put_text(json, element, out, error);
    }
    return status == MT_OK ? put(out, "]", error) : status;
}

/* {HEAD, FROM_BASE's text and target_modules under the names that the reader wants}. */
static mt_status convert(mt_str text, const char *head, const char *base, const char *new_base, mt_sink out, mt_error *error) {
    mt_document *json;
    mt_status status = config_api->parse(config_api->ctx, text, &json, error);
    if (status != MT_OK) return status;
    status = put(out, head, error);
    if (status == MT_OK) status = put(out, new_base, error);
    if (status == MT_OK) status = is_text(json, base) ? put_text(json, base, out, error) : put(out, "null", error);
    if (status == MT_OK) status = put(out, ", \"target_modules\": ", error);
    if (status == MT_OK) status = put_modules(json, "target_modules", out, error);
    if (status == MT_OK) status = put(out, "}", error);
    config_api->close(config_api->ctx, json);
    return status;
}

static mt_status write_config(void *ctx, mt_str settings, mt_sink out, mt_error *error) {
    (void)ctx;
    if (!config_api) return mt_fail(error, MT_UNSUPPORTED, "the host has no config service", "");
    return convert(settings, "{\"peft_type\": \"IA3\", \"task_type\": \"CAUSAL_LM\", \"feedforward_modules\": [], ", "base_model",
                   "\"base_model_name_or_path\": ", out, error);
}

static mt_status read_config(void *ctx, mt_str config, mt_sink out, mt_error *error) {
    (void)ctx;
    if (!config_api) return mt_fail(error, MT_UNSUPPORTED, "the host has no config service", "");
    mt_document *json;
    mt_status status = config_api->parse(config_api->ctx, config, &json, error);
    if (status != MT_OK) return status;
    mt_error none = {.struct_size = sizeof none};
    size_t count = 0;
    status = config_api->count(config_api->ctx, json, MT_STR("feedforward_modules"), &count, &none);
    config_api->close(config_api->ctx, json);
    if (status == MT_OK && count > 0)
        return mt_fail(error, MT_UNSUPPORTED, "found modules whose inputs are scaled, wanted none", "feedforward_modules");
    return convert(config, "{", "base_model_name_or_path", "\"base_model\": ", out, error);
}

static const mt_tuner_table table = {sizeof table, 0, parameters, apply, merge, write_config, read_config, NULL};

static mt_status initialize(void *ctx, const mt_host *host, mt_error *error) {
    (void)ctx;
    (void)error;
    graph_api = host->service(host, MT_STR(MT_SERVICE_GRAPH));
    config_api = host->service(host, MT_STR(MT_SERVICE_CONFIG));
    return MT_OK;
}

static const mt_component components[] = {
    MT_COMPONENT(MT_KIND_TUNER, "outscale", "Trains one factor for each output of a linear weight", &table),
};

MT_DEFINE_PLUGIN("example.outscale", "0.1.0", components, initialize)
