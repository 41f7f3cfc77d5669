/* A data set of ROWS rows, each of the text ROW. */
#include "kind.h"
struct mt_rows {
    long at;
};
static struct mt_rows reader;
static int32_t probe(void *ctx, mt_str path, mt_bytes head) {
    (void)ctx, (void)path;
    return head.size > 0;
}
static mt_status open_rows(void *ctx, mt_str path, mt_str options, mt_rows **out, mt_error *error) {
    (void)ctx, (void)options;
    if (path.size > 5 && !memcmp(path.data, "/none", 5)) return mt_fail(error, MT_NOT_FOUND, "there is no such file", "");
    reader.at = 0;
    *out = &reader;
    return MT_OK;
}
static mt_status next(void *ctx, mt_rows *rows, mt_sink out, bool *found, mt_error *error) {
    (void)ctx;
    *found = rows->at++ < ROWS;
    return *found ? say(out, ROW, error) : MT_OK;
}
static mt_status cursor(void *ctx, mt_rows *rows, mt_sink out, mt_error *error) {
    (void)ctx, (void)rows;
    return say(out, "start", error);
}
static mt_status seek(void *ctx, mt_rows *rows, mt_str text, mt_error *error) {
    (void)ctx, (void)text, (void)error;
    SEEK;
    return MT_OK;
}
static int64_t count(void *ctx, const mt_rows *rows) {
    (void)ctx, (void)rows;
    return -1;
}
static void close_rows(void *ctx, mt_rows *rows) { (void)ctx, (void)rows; }
static const mt_dataset_table table = {sizeof table, 0, probe, open_rows, next, cursor, seek, count, close_rows};
OFFER(MT_KIND_DATASET, table)
