/* An engine that answers each request with MT_EVENT_TOKEN of TOKEN and then ends it, as far as BUSY says that it works. */
#include "kind.h"
#define MOST 64
static struct mt_engine {
    uint64_t last, asked[MOST];
    int count, taken, told;
} engine;
static mt_status load(void *ctx, mt_str options, mt_engine **out, mt_error *error) {
    (void)ctx;
    if (options.size < 40) return mt_fail(error, MT_INVALID, "wanted more options", "");
    engine.count = engine.taken = engine.told = 0;
    *out = &engine;
    return MT_OK;
}
static mt_status submit(void *ctx, mt_engine *e, const mt_request *request, uint64_t *id, mt_error *error) {
    (void)ctx;
    if (!request->prompt_count || e->count == MOST) return mt_fail(error, MT_INVALID, "wanted a prompt", "");
    for (size_t i = 0; i < request->prompt_count; i++)
        if (request->prompt[i] < 0 || request->prompt[i] > 28) return mt_fail(error, MT_INVALID, "no such token", "");
    *id = e->asked[e->count++] = ++e->last;
    return MT_OK;
}
static mt_status step(void *ctx, mt_engine *e, bool *idle, mt_error *error) {
    (void)ctx, (void)error;
    *idle = !(BUSY) || e->taken == e->count;
    return MT_OK;
}
static bool poll(void *ctx, mt_engine *e, mt_event *out) {
    (void)ctx;
    if (!(BUSY) || e->taken == e->count) return false;
    memset((char *)out + sizeof out->struct_size, 0, sizeof *out - sizeof out->struct_size);
    out->request = e->asked[e->taken];
    out->kind = e->told ? MT_EVENT_FINISHED : MT_EVENT_TOKEN;
    out->reason = MT_REASON_LENGTH;
    out->token = TOKEN;
    if (e->told) e->taken++;
    e->told = !e->told;
    return true;
}
static void cancel(void *ctx, mt_engine *e, uint64_t id) { (void)ctx, (void)e, (void)id; }
static mt_status stats(void *ctx, mt_engine *e, mt_sink out, mt_error *error) {
    (void)ctx, (void)e;
    return say(out, "{\"waiting\": 0, \"running\": 0, \"blocks_used\": 0}", error);
}
static void unload(void *ctx, mt_engine *e) { (void)ctx, (void)e; }
static const mt_engine_table table = {sizeof table, 0, load, submit, step, poll, cancel, stats, unload};
OFFER(MT_KIND_ENGINE, table)
