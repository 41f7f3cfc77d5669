/* A logger: appends each record of a run to DIRECTORY/filelog.jsonl. kinds/logger.h says what each function promises. */
#include <martlet/define.h>
#include <martlet/martlet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const mt_config *config; /* the host's reader of JSON, found by initialize */

struct mt_log_run {
    FILE *file;
    size_t length; /* of path */
    char path[4096];
};

/* Receives the directory's name from the host. */
static mt_status append(void *to, const void *data, size_t size, mt_error *error) {
    mt_log_run *run = to;
    if (size > sizeof run->path - 64 - run->length) return mt_fail(error, MT_INVALID, "the name is too long", "directory");
    memcpy(run->path + run->length, data, size);
    run->length += size;
    return MT_OK;
}

static mt_status open_run(void *ctx, mt_str settings, mt_log_run **out, mt_error *error) {
    (void)ctx;
    if (!config) return mt_fail(error, MT_UNSUPPORTED, "the host has no config service", "");
    mt_log_run *run = calloc(1, sizeof *run);
    if (!run) return mt_fail(error, MT_OUT_OF_MEMORY, "no memory for the run", "");
    mt_document *document;
    mt_status status = config->parse(config->ctx, settings, &document, error);
    if (status == MT_OK) {
        mt_sink sink = {run, append};
        status = config->string(config->ctx, document, MT_STR("directory"), sink, error);
        config->close(config->ctx, document);
    }
    if (status == MT_OK) {
        memcpy(run->path + run->length, "/filelog.jsonl", sizeof "/filelog.jsonl");
        run->file = fopen(run->path, "a");
        if (!run->file) status = mt_fail(error, MT_IO, "the file cannot be opened", run->path);
    }
    if (status == MT_OK) *out = run;
    else free(run);
    return status;
}

static mt_status event(void *ctx, mt_log_run *run, mt_str record, mt_error *error) {
    (void)ctx;
    if (fwrite(record.data, 1, record.size, run->file) != record.size || fputc('\n', run->file) == EOF)
        return mt_fail(error, MT_IO, "the record cannot be written", run->path);
    return MT_OK;
}

static mt_status flush(void *ctx, mt_log_run *run, mt_error *error) {
    (void)ctx;
    return fflush(run->file) == 0 ? MT_OK : mt_fail(error, MT_IO, "the file cannot be flushed", run->path);
}

static void close_run(void *ctx, mt_log_run *run) {
    (void)ctx;
    fclose(run->file);
    free(run);
}

static const mt_logger_table table = {sizeof table, 0, open_run, event, flush, close_run};

static mt_status initialize(void *ctx, const mt_host *host, mt_error *error) {
    (void)ctx;
    (void)error;
    config = host->service(host, MT_STR(MT_SERVICE_CONFIG));
    return MT_OK;
}

static const mt_component components[] = {
    MT_COMPONENT(MT_KIND_LOGGER, "filelog", "Appends each record to DIRECTORY/filelog.jsonl", &table),
};

MT_DEFINE_PLUGIN("example.filelog", "0.1.0", components, initialize)
