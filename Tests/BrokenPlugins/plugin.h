/* A whole plugin, of which each file here breaks one thing by defining a macro before it includes this.
 * The first line of each names the case of `martlet plugin check` that must find it. */
#include <martlet/martlet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef AT_ENTRY
#define AT_ENTRY
#endif
#ifndef AT_INIT
#define AT_INIT
#endif
#ifndef AT_DEINIT
#define AT_DEINIT
#endif
#ifndef AT_COMPONENT
#define AT_COMPONENT
#endif
#ifndef AT_END
#define AT_END
#endif
#ifndef PLUGIN_ID
#define PLUGIN_ID "test.broken"
#endif
#ifndef PLUGIN_SIZE
#define PLUGIN_SIZE sizeof(mt_plugin)
#endif
#ifndef COUNT
#define COUNT 1
#endif
#ifndef COMPONENT_ID
#define COMPONENT_ID "broken"
#endif
#ifndef INTERFACE
#define INTERFACE NULL
#endif
#ifndef FLUSH
#define FLUSH flush_run
#endif
#ifndef TABLE_SIZE
#define TABLE_SIZE sizeof(mt_logger_table)
#endif
#ifndef RANGE
#define RANGE                                                       \
    if (index >= 1) {                                               \
        snprintf(error->message, sizeof error->message, "no such component"); \
        return MT_INVALID;                                          \
    }
#endif
#ifndef LIMIT
#define LIMIT(size) (out->struct_size < (size) ? out->struct_size : (size))
#endif

static int64_t events;
static const mt_host *host;
__attribute__((unused)) static volatile int calls;

static mt_status open_run(void *ctx, mt_str settings, mt_log_run **out, mt_error *error) {
    (void)ctx; (void)settings; (void)error;
    *out = (mt_log_run *)&events;
    return MT_OK;
}
static mt_status event(void *ctx, mt_log_run *run, mt_str record, mt_error *error) {
    (void)ctx; (void)run; (void)record; (void)error;
#ifdef AT_EVENT
    AT_EVENT
#endif
    return MT_OK;
}
__attribute__((unused)) static mt_status flush_run(void *ctx, mt_log_run *run, mt_error *error) {
    (void)ctx; (void)run; (void)error;
    return MT_OK;
}
static void close_run(void *ctx, mt_log_run *run) { (void)ctx; (void)run; }
__attribute__((unused)) static const mt_logger_table table = {TABLE_SIZE, 0, open_run, event, FLUSH, close_run};

static mt_status initialize(void *ctx, const mt_host *with, mt_error *error) {
    (void)ctx; (void)error;
    host = with;
    AT_INIT
    return MT_OK;
}
static void deinitialize(void *ctx) { (void)ctx; AT_DEINIT }
static size_t count(void *ctx) { (void)ctx; return COUNT; }
static mt_status component(void *ctx, size_t index, mt_component *out, mt_error *error) {
    (void)ctx; (void)error; (void)index;
    RANGE
    AT_COMPONENT
    mt_component mine = {sizeof mine, 0, MT_STR(MT_KIND_LOGGER), MT_STR(COMPONENT_ID), MT_STR("broken"), &table, NULL};
    AT_END
    memcpy(out, &mine, LIMIT(sizeof mine));
    return MT_OK;
}
static const void *interface(void *ctx, mt_str id) { (void)ctx; (void)id; return INTERFACE; }

static mt_plugin plugin __attribute__((unused)) = {
    PLUGIN_SIZE, MT_ABI_MAJOR, 0, {PLUGIN_ID, sizeof PLUGIN_ID - 1}, {"1.0.0", 5}, NULL, initialize, deinitialize, count, component, interface,
};

#ifndef NO_ENTRY
MT_EXPORT const mt_plugin *martlet_plugin_entry(const mt_host *with, mt_error *error) {
    (void)with; (void)error;
    AT_ENTRY
    return &plugin;
}
#endif
