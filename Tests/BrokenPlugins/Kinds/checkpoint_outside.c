/* fails kind-checkpoint: it believes a header's word for where a tensor lies */
#include "kind.h"
struct mt_checkpoint {
    char path[512];
};
static struct mt_checkpoint opened;
static int32_t probe(void *ctx, mt_str path) {
    (void)ctx;
    return path.size > 5 && memcmp(path.data, "/none", 5);
}
static mt_status open_file(void *ctx, mt_str path, mt_checkpoint **out, mt_error *error) {
    if (!probe(ctx, path) || path.size >= sizeof opened.path) return mt_fail(error, MT_NOT_FOUND, "there is no such file", "");
    memcpy(opened.path, path.data, path.size);
    opened.path[path.size] = 0;
    *out = &opened;
    return MT_OK;
}
static void close_file(void *ctx, mt_checkpoint *file) { (void)ctx, (void)file; }
static size_t one(void *ctx, const mt_checkpoint *file) {
    (void)ctx, (void)file;
    return 1;
}
static mt_status tensor(void *ctx, const mt_checkpoint *file, size_t index, mt_tensor_entry *out, mt_error *error) {
    static const int64_t shape[1] = {1000};
    (void)ctx, (void)file;
    if (index > 0) return mt_fail(error, MT_NOT_FOUND, "there is one tensor", "");
    out->name = MT_STR("a");
    out->layout = MT_STR("f32");
    out->rank = 1;
    out->shape = shape;
    out->size = 4000;
    return MT_OK;
}
static mt_str file_path(void *ctx, const mt_checkpoint *file, size_t index) {
    (void)ctx, (void)index;
    return (mt_str){file->path, strlen(file->path)};
}
static mt_status describe(void *ctx, const mt_checkpoint *file, mt_sink out, mt_error *error) {
    (void)ctx, (void)file;
    return say(out, "{}", error);
}
static const mt_checkpoint_table table = {
    sizeof table, 0, probe, open_file, close_file, one, tensor, one, file_path, describe, NULL, NULL, NULL, NULL,
};
OFFER(MT_KIND_CHECKPOINT, table)
