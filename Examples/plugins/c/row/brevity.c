/* A reward for short answers: 1 / (1 + words). kinds/row.h says what the function promises. */
#include <martlet/define.h>
#include <martlet/martlet.h>
#include <string.h>

static const mt_config *config; /* the host's reader of JSON, found by initialize */

/* Counts the words of a text that comes in parts. */
typedef struct {
    size_t words;
    bool inside;
} counter;

static mt_status count(void *to, const void *data, size_t size, mt_error *error) {
    (void)error;
    counter *c = to;
    const char *text = data;
    for (size_t i = 0; i < size; i++) {
        bool space = memchr(" \t\r\n", text[i], 4) != NULL;
        c->words += !space && !c->inside;
        c->inside = !space;
    }
    return MT_OK;
}

static mt_status judge(void *ctx, mt_str row, double *out, mt_error *error) {
    (void)ctx;
    if (!config) return mt_fail(error, MT_UNSUPPORTED, "the host has no config service", "");
    mt_document *document;
    mt_status status = config->parse(config->ctx, row, &document, error);
    if (status != MT_OK) return status;
    counter c = {0, false};
    mt_sink sink = {&c, count};
    status = config->string(config->ctx, document, MT_STR("completion"), sink, error);
    config->close(config->ctx, document);
    if (status == MT_OK) *out = 1 / (1 + (double)c.words);
    return status;
}

static const mt_row_table table = {sizeof table, 0, judge};

static mt_status initialize(void *ctx, const mt_host *host, mt_error *error) {
    (void)ctx;
    (void)error;
    config = host->service(host, MT_STR(MT_SERVICE_CONFIG));
    return MT_OK;
}

static const mt_component components[] = {MT_COMPONENT(MT_KIND_REWARD, "brevity", "1 / (1 + words of the answer)", &table)};

MT_DEFINE_PLUGIN("example.brevity", "0.1.0", components, initialize)
