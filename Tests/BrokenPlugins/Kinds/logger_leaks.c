/* fails kind-logger: each run keeps its memory for ever */
#include "kind.h"
#include <stdlib.h>
static mt_status open_run(void *ctx, mt_str settings, mt_log_run **out, mt_error *error) {
    (void)ctx, (void)settings, (void)error;
    *out = malloc(4096);
    memset(*out, 1, 4096);
    return MT_OK;
}
static mt_status event(void *ctx, mt_log_run *run, mt_str record, mt_error *error) {
    (void)ctx, (void)run, (void)record, (void)error;
    return MT_OK;
}
static mt_status flush(void *ctx, mt_log_run *run, mt_error *error) {
    (void)ctx, (void)run, (void)error;
    return MT_OK;
}
static void close_run(void *ctx, mt_log_run *run) { (void)ctx, (void)run; }
static const mt_logger_table table = {sizeof table, 0, open_run, event, flush, close_run};
OFFER(MT_KIND_LOGGER, table)
