/* The StableLM family (Stability AI, 2023): a Llama-like decoder with layer norms and rotary positions over a part of
 * each head. kinds/model.h says what each function promises; graph.h has the builder. */
#include <martlet/define.h>
#include <martlet/martlet.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const mt_graph_api *graph_api; /* services of the host, found by initialize */
static const mt_config *config_api;

/* ---- config.json ---- */

typedef struct {
    int64_t layers, hidden, inner, heads, kv_heads, vocabulary, positions;
    double eps, theta, rotary; /* share of each head that is turned */
    bool tied, qkv_bias, parallel, head_norm;
} family;

static mt_str text(const char *chars) { return (mt_str){chars, strlen(chars)}; }

/* Reads a whole number; `fallback` 0 means that it must be there. */
static void read_integer(const mt_document *json, const char *key, int64_t fallback, int64_t *out, mt_status *status, mt_error *error) {
    if (*status != MT_OK) return;
    mt_error absent = {.struct_size = sizeof absent};
    mt_status found = config_api->integer(config_api->ctx, json, text(key), out, fallback ? &absent : error);
    if (found == MT_NOT_FOUND && fallback) *out = fallback;
    else if (found != MT_OK) *status = fallback ? mt_fail(error, found, absent.message, key) : found;
    else if (*out < 1 || *out > 1 << 24) *status = mt_fail(error, MT_INVALID, "the number is out of range", key);
}

static void read_number(const mt_document *json, const char *key, double *out) {
    mt_error absent = {.struct_size = sizeof absent};
    double value;
    if (config_api->number(config_api->ctx, json, text(key), &value, &absent) == MT_OK) *out = value;
}

static void read_flag(const mt_document *json, const char *key, bool *out) {
    mt_error absent = {.struct_size = sizeof absent};
    bool value;
    if (config_api->boolean(config_api->ctx, json, text(key), &value, &absent) == MT_OK) *out = value;
}

static mt_status read_family(mt_str config, family *out, mt_error *error) {
    if (!config_api) return mt_fail(error, MT_UNSUPPORTED, "the host has no config service", "");
    mt_document *json;
    mt_status status = config_api->parse(config_api->ctx, config, &json, error);
    if (status != MT_OK) return status;
    *out = (family){.eps = 1e-5, .theta = 10000, .rotary = 0.25};
    read_integer(json, "num_hidden_layers", 0, &out->layers, &status, error);
    read_integer(json, "hidden_size", 0, &out->hidden, &status, error);
    read_integer(json, "intermediate_size", 0, &out->inner, &status, error);
    read_integer(json, "num_attention_heads", 0, &out->heads, &status, error);
    read_integer(json, "num_key_value_heads", out->heads, &out->kv_heads, &status, error);
    read_integer(json, "vocab_size", 0, &out->vocabulary, &status, error);
    read_integer(json, "max_position_embeddings", 4096, &out->positions, &status, error);
    read_number(json, "layer_norm_eps", &out->eps);
    read_number(json, "rope_theta", &out->theta);
    read_number(json, "rope_parameters.rope_theta", &out->theta);
    read_number(json, "partial_rotary_factor", &out->rotary);
    read_number(json, "rope_parameters.partial_rotary_factor", &out->rotary);
    read_flag(json, "tie_word_embeddings", &out->tied);
    read_flag(json, "use_qkv_bias", &out->qkv_bias);
    read_flag(json, "use_parallel_residual", &out->parallel);
    read_flag(json, "qk_layernorm", &out->head_norm);
    config_api->close(config_api->ctx, json);
    if (status != MT_OK) return status;
    if (out->hidden % out->heads) return mt_fail(error, MT_INVALID, "hidden_size is no multiple of the heads", "num_attention_heads");
    if (out->heads % out->kv_heads) return mt_fail(error, MT_INVALID, "the heads are no multiple of these", "num_key_value_heads");
    if (!(out->rotary > 0 && out->rotary <= 1)) return mt_fail(error, MT_INVALID, "wanted a share above 0, at most 1", "partial_rotary_factor");
    if (out->head_norm) return mt_fail(error, MT_UNSUPPORTED, "norms of each head are not written yet", "qk_layernorm");
    return MT_OK;
}

/* ---- the kind's functions ---- */

static mt_status append(void *to, const void *data, size_t size, mt_error *error) {
    mt_str *out = to;
    char *buffer = (char *)(uintptr_t)out->data;
    if (size > 64 - out->size) return mt_fail(error, MT_INVALID, "longer than any name", "");
    memcpy(buffer + out->size, data, size);
    out->size += size;
    return MT_OK;
}

static int32_t probe(void *ctx, mt_str config) {
    (void)ctx;
    mt_error error = {.struct_size = sizeof error};
    mt_document *json;
    if (!config_api || config_api->parse(config_api->ctx, config, &json, &error) != MT_OK) return 0;
    char buffer[64];
    mt_str name = {buffer, 0};
    mt_sink sink = {&name, append};
    mt_status found = config_api->string(config_api->ctx, json, MT_STR("architectures[0]"), sink, &error);
    config_api->close(config_api->ctx, json);
    const char wanted[] = "StableLmForCausalLM";
    return found == MT_OK && name.size == sizeof wanted - 1 && !memcmp(buffer, wanted, name.size) ? 100 : 0;
}

static mt_status describe(void *ctx, mt_str config, mt_sink out, mt_error *error) {
    (void)ctx;
    family f;
    mt_status status = read_family(config, &f, error);
    if (status != MT_OK) return status;
    char line[512];
    int size = snprintf(
        line, sizeof line,
        "{\"parts\": [\"decoder\"], \"layers\": %lld, \"hidden\": %lld, \"vocab\": %lld, \"max_positions\": %lld, \"head\": \"%s\", "
        "\"default_targets\": [\"q_proj\", \"k_proj\", \"v_proj\", \"o_proj\", \"gate_proj\", \"up_proj\", \"down_proj\"], "
        "\"attention\": [",
        (long long)f.layers, (long long)f.hidden, (long long)f.vocabulary, (long long)f.positions,
        f.tied ? "model.embed_tokens.weight" : "lm_head.weight");
    status = out.write(out.ctx, line, (size_t)size, error);
    long long width = (long long)(f.hidden / f.heads);
    for (int64_t i = 0; i < f.layers && status == MT_OK; i++) {
        size = snprintf(
            line, sizeof line, "%s{\"kv_heads\": %lld, \"key_width\": %lld, \"value_width\": %lld}", i ? ", " : "",
            (long long)f.kv_heads, width, width);
        status = out.write(out.ctx, line, (size_t)size, error);
    }
    return status == MT_OK ? out.write(out.ctx, "]}", 2, error) : status;
}

static mt_value norm(mt_builder *b, mt_str weight, mt_str bias, mt_value x, const family *f) {
    mt_value in[3] = {x, mt_parameter(b, weight, &f->hidden, 1, 0), mt_parameter(b, bias, &f->hidden, 1, 0)};
    mt_attr eps = mt_attr_float(MT_STR("eps"), f->eps);
    return mt_op(b, MT_STR("layer_norm"), in, 3, &eps, 1);
}

/* A projection cut into heads and turned by position: [T, hidden] to [T, count, width]. */
static mt_value heads(mt_builder *b, mt_str name, mt_value x, int64_t count, const family *f, mt_value positions, mt_value frequencies) {
    int64_t width = f->hidden / f->heads, shape[3] = {-1, count, width};
    mt_value y = mt_reshape(b, mt_linear(b, name, x, count * width, f->qkv_bias), shape, 3);
    mt_value in[3] = {y, positions, frequencies};
    return frequencies.index ? mt_op(b, MT_STR("rope"), in, 3, NULL, 0) : y;
}

static mt_value attention(mt_builder *b, mt_value h, int64_t layer, const family *f, const mt_build *build, mt_value frequencies) {
    mt_value none = {0, 0};
    mt_value in[6] = {
        heads(b, MT_STR("self_attn.q_proj"), h, f->heads, f, build->positions, frequencies),
        heads(b, MT_STR("self_attn.k_proj"), h, f->kv_heads, f, build->positions, frequencies),
        heads(b, MT_STR("self_attn.v_proj"), h, f->kv_heads, f, build->positions, none),
        build->segments, build->segments, none,
    };
    mt_attr attrs[3] = {
        mt_attr_int(MT_STR("layer"), layer),
        mt_attr_float(MT_STR("scale"), 1 / sqrt((double)(f->hidden / f->heads))),
        mt_attr_bool(MT_STR("causal"), true),
    };
    int64_t shape[2] = {-1, f->hidden};
    mt_value a = mt_reshape(b, mt_op(b, MT_STR("attention"), in, 6, attrs, 3), shape, 2);
    return mt_linear(b, MT_STR("self_attn.o_proj"), a, f->hidden, false);
}

static mt_value feed_forward(mt_builder *b, mt_value h, const family *f) {
    mt_value gate = mt_unary(b, MT_STR("silu"), mt_linear(b, MT_STR("mlp.gate_proj"), h, f->inner, false));
    mt_value up = mt_linear(b, MT_STR("mlp.up_proj"), h, f->inner, false);
    return mt_linear(b, MT_STR("mlp.down_proj"), mt_mul(b, gate, up), f->hidden, false);
}

static mt_status build(void *ctx, const mt_build *build, mt_value *outputs, size_t capacity, size_t *count, mt_error *error) {
    (void)ctx;
    family f;
    mt_status status = read_family(build->config, &f, error);
    if (status != MT_OK) return status;
    if (!graph_api) return mt_fail(error, MT_UNSUPPORTED, "the host has no graph service", "");
    mt_builder builder = mt_builder_make(graph_api, build->graph, error), *b = &builder;

    /* theta^(-2 i / width) for each pair of the part that is turned. */
    float values[4096];
    int64_t width = (int64_t)((double)(f.hidden / f.heads) * f.rotary) / 2 * 2, pairs = width / 2;
    if (pairs < 1 || pairs > 4096) return mt_fail(error, MT_INVALID, "no pair of a head is turned", "partial_rotary_factor");
    for (int64_t i = 0; i < pairs; i++) values[i] = (float)pow(f.theta, -2.0 * (double)i / (double)width);
    mt_value frequencies = {0, 0};
    b->status = graph_api->constant(b->graph, MT_F32, &pairs, 1, values, (size_t)pairs * sizeof *values, &frequencies, error);

    mt_value x = build->embeds;
    if (!x.index) {
        int64_t shape[2] = {f.vocabulary, f.hidden};
        x = mt_binary(b, MT_STR("embedding"), mt_parameter(b, MT_STR("model.embed_tokens.weight"), shape, 2, 0), build->ids);
    }
    for (int64_t i = 0; i < f.layers; i++) {
        char name[48];
        snprintf(name, sizeof name, "model.layers.%lld", (long long)i);
        mt_open_block(b, text(name));
        mt_value h = norm(b, MT_STR("input_layernorm.weight"), MT_STR("input_layernorm.bias"), x, &f);
        mt_value y = mt_add(b, x, attention(b, h, i, &f, build, frequencies));
        if (!f.parallel)
            h = norm(b, MT_STR("post_attention_layernorm.weight"), MT_STR("post_attention_layernorm.bias"), y, &f);
        x = mt_add(b, y, feed_forward(b, h, &f));
        mt_close_block(b);
    }
    x = norm(b, MT_STR("model.norm.weight"), MT_STR("model.norm.bias"), x, &f);
    if (b->status == MT_OK) {
        *count = 1;
        if (capacity > 0) outputs[0] = x;
    }
    return b->status;
}

static const mt_model_table table = {sizeof table, 0, probe, describe, build, NULL};

/* ---- the plugin ---- */

static mt_status initialize(void *ctx, const mt_host *host, mt_error *error) {
    (void)ctx;
    (void)error;
    graph_api = host->service(host, MT_STR(MT_SERVICE_GRAPH));
    config_api = host->service(host, MT_STR(MT_SERVICE_CONFIG));
    return MT_OK;
}

static const mt_component components[] = {MT_COMPONENT(MT_KIND_MODEL, "stablelm", "StableLM", &table)};

MT_DEFINE_PLUGIN("example.stablelm", "0.1.0", components, initialize)
