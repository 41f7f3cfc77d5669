/* The smallest whole plugin: one logger that counts what it is given. Variants for tests are chosen by macros. */
#include <martlet/martlet.h>

#ifndef ID
#define ID "test.tiny"
#endif
#ifndef COMPONENT
#define COMPONENT "count"
#endif

#ifndef PRIORITY
#define PRIORITY 0
#endif

static const mt_host *host;
static int64_t events;

static mt_status open_run(void *ctx, mt_str settings, mt_log_run **out, mt_error *error) {
    (void)ctx; (void)settings; (void)error;
    *out = (mt_log_run *)&events;
    return MT_OK;
}
static mt_status event(void *ctx, mt_log_run *run, mt_str record, mt_error *error) {
    (void)ctx; (void)run; (void)record; (void)error;
    events++;
    return MT_OK;
}
static mt_status flush_run(void *ctx, mt_log_run *run, mt_error *error) {
    (void)ctx; (void)run; (void)error;
    return MT_OK;
}
static void close_run(void *ctx, mt_log_run *run) { (void)ctx; (void)run; }
static const mt_logger_table table = {sizeof(mt_logger_table), 0, open_run, event, flush_run, close_run};

static mt_status initialize(void *ctx, const mt_host *with, mt_error *error) {
    (void)ctx; (void)error;
    host = with;
    const mt_log *log = host->service(host, MT_STR(MT_SERVICE_LOG));
    if (log) log->write(log->ctx, MT_LOG_DEBUG, MT_STR(ID), MT_STR("ready"));
    return MT_OK;
}
static void deinitialize(void *ctx) { (void)ctx; }
static size_t count(void *ctx) { (void)ctx; return 1; }
static mt_status component(void *ctx, size_t index, mt_component *out, mt_error *error) {
    (void)ctx;
    if (index > 0) {
        if (error) __builtin_memcpy(error->message, "there is one component", 23);
        return MT_INVALID;
    }
    const mt_component mine = {sizeof mine, PRIORITY, MT_STR(MT_KIND_LOGGER), MT_STR(COMPONENT), MT_STR("counts events"), &table, NULL};
    uint32_t size = out->struct_size;
    __builtin_memcpy(out, &mine, size < sizeof mine ? size : sizeof mine);
    return MT_OK;
}
static const void *interface(void *ctx, mt_str id) { (void)ctx; (void)id; return NULL; }

static const mt_plugin plugin = {
    sizeof(mt_plugin), MT_ABI_MAJOR, 0, {ID, sizeof ID - 1}, {"1.0.0", 5}, NULL, initialize, deinitialize, count, component, interface,
};

MT_EXPORT const mt_plugin *martlet_plugin_entry(const mt_host *with, mt_error *error) {
    (void)with; (void)error;
    return &plugin;
}
