/* What the broken plugins of each kind share. The first line of each names the case that must find it; the word before
 * the first '_' of its name is its kind. */
#include <martlet/define.h>
#include <martlet/martlet.h>
#include <stdio.h>
#include <string.h>

static const mt_graph_api *graph_api;

static mt_status initialize(void *ctx, const mt_host *host, mt_error *error) {
    (void)ctx;
    (void)error;
    graph_api = host->service(host, MT_STR(MT_SERVICE_GRAPH));
    return MT_OK;
}

__attribute__((unused)) static mt_status say(mt_sink out, const char *text, mt_error *error) {
    return out.write(out.ctx, text, strlen(text), error);
}

#ifndef ID
#define ID "broken"
#endif
#define OFFER(kind, table)                                                      \
    static const mt_component components[] = {MT_COMPONENT(kind, ID, "", &table)}; \
    MT_DEFINE_PLUGIN("test.broken", "1.0.0", components, initialize)
