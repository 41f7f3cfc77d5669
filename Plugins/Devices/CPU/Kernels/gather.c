// Rows picked from a table, and rows added into one.
#include "cpu_ops.h"

typedef struct {
    const void *table;
    const float *rows;
    const int32_t *ids;
    float *out;
    mk_dtype type;
    size_t table_rows, width, count;
    bool accumulate;
} gather_job;

#define GATHER_ROWS 16
/// Columns that one index of a scatter owns: two indices never touch the same element, so the order of additions is that of t.
#define SCATTER_COLUMNS 128

static void gather_rows(void *arg, size_t index, size_t thread) {
    (void)thread;
    const gather_job *job = arg;
    size_t size = mk_dtype_size(job->type);
    for (size_t t = index * GATHER_ROWS; t < mk_min((index + 1) * GATHER_ROWS, job->count); t++) {
        float *out = job->out + t * job->width;
        int32_t id = job->ids[t];
        if (id < 0 || (size_t)id >= job->table_rows) memset(out, 0, job->width * sizeof(float));
        else
            mk_cast(NULL, (const uint8_t *)job->table + (size_t)id * job->width * size, job->type, out, MK_DTYPE_F32, job->width);
    }
}

void mk_gather_rows(const mk_pool *pool, const void *table, mk_dtype type, size_t table_rows, size_t width, const int32_t *ids,
                    size_t count, float *out) {
    gather_job job = {.table = table, .type = type, .table_rows = table_rows, .width = width, .ids = ids, .count = count, .out = out};
    if (width) mk_parallel(pool, mk_ceil_div(count, GATHER_ROWS), gather_rows, &job);
}

static void scatter_columns(void *arg, size_t index, size_t thread) {
    (void)thread;
    const gather_job *job = arg;
    size_t first = index * SCATTER_COLUMNS, columns = mk_min(SCATTER_COLUMNS, job->width - first);
    for (size_t t = 0; t < job->count; t++) {
        int32_t id = job->ids[t];
        if (id < 0 || (size_t)id >= job->table_rows) continue;
        float *to = job->out + (size_t)id * job->width + first;
        const float *from = job->rows + t * job->width + first;
        for (size_t c = 0; c < columns; c++) to[c] += from[c];
    }
}

void mk_scatter_add_rows(const mk_pool *pool, const float *rows, const int32_t *ids, size_t count, size_t width, float *out,
                         size_t out_rows, bool accumulate) {
    gather_job job = {.rows = rows, .ids = ids, .count = count, .width = width, .out = out, .table_rows = out_rows};
    if (!accumulate) mk_fill(pool, out, 0, out_rows * width);
    if (width) mk_parallel(pool, mk_ceil_div(width, SCATTER_COLUMNS), scatter_columns, &job);
}
