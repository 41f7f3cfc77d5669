/* Tables whose columns are parted by tabs, with their names in the first line: each line after it is a row of texts. A line with
 * another number of columns, or that is not UTF-8, is damaged. kinds/dataset.h says what each function promises. */
#define _POSIX_C_SOURCE 200809L
#include <martlet/define.h>
#include <martlet/martlet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define LONGEST_LINE (1 << 26) /* bytes; longer ones are no rows */
#define SHOWN 512              /* bytes of a damaged row that go to the report */

struct mt_rows {
    FILE *file;
    char *header, *line; /* getline's */
    size_t header_room, line_room;
    ssize_t header_size;
    long long number; /* lines read so far */
};

static bool ends_with(mt_str text, const char *end) {
    size_t size = strlen(end);
    return text.size >= size && memcmp(text.data + text.size - size, end, size) == 0;
}

static int32_t probe(void *ctx, mt_str path, mt_bytes head) {
    (void)ctx;
    (void)head;
    return ends_with(path, ".tab") ? 100 : 0;
}

/* A line without its end; -1 at the end of the file. */
static ssize_t read_line(mt_rows *rows, char **line, size_t *room) {
    ssize_t size = getline(line, room, rows->file);
    if (size < 0) return -1;
    rows->number++;
    while (size > 0 && ((*line)[size - 1] == '\n' || (*line)[size - 1] == '\r')) size--;
    return size;
}

static void close_rows(void *ctx, mt_rows *rows) {
    (void)ctx;
    if (!rows) return;
    if (rows->file) fclose(rows->file);
    free(rows->header);
    free(rows->line);
    free(rows);
}

static mt_status open_rows(void *ctx, mt_str path, mt_str options, mt_rows **out, mt_error *error) {
    (void)options;
    char name[4096];
    if (path.size >= sizeof name) return mt_fail(error, MT_INVALID, "the path is too long", "path");
    memcpy(name, path.data, path.size);
    name[path.size] = 0;
    mt_rows *rows = calloc(1, sizeof *rows);
    if (!rows) return mt_fail(error, MT_OUT_OF_MEMORY, "no memory for the rows", name);
    rows->file = fopen(name, "rb");
    mt_status status = MT_OK;
    if (!rows->file) status = mt_fail(error, MT_IO, strerror(errno), name);
    else if ((rows->header_size = read_line(rows, &rows->header, &rows->header_room)) < 1)
        status = mt_fail(error, MT_INVALID, "the first line is empty, wanted the columns' names", name);
    if (status == MT_OK) *out = rows;
    else close_rows(ctx, rows);
    return status;
}

/* The length of the UTF-8 character at `text` (RFC 3629), 0 where there is none. */
static size_t character(const unsigned char *text, size_t size) {
    unsigned char first = text[0];
    size_t length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (length > size) return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xC0) != 0x80) return 0;
    if ((first == 0xE0 && text[1] < 0xA0) || (first == 0xED && text[1] > 0x9F)) return 0;
    if ((first == 0xF0 && text[1] < 0x90) || (first == 0xF4 && text[1] > 0x8F)) return 0;
    return length;
}

static bool is_utf8(const char *text, size_t size) {
    for (size_t i = 0, length; i < size; i += length)
        if (!(length = character((const unsigned char *)text + i, size - i))) return false;
    return true;
}

static size_t columns(const char *line, size_t size) {
    size_t count = 1;
    for (size_t i = 0; i < size; i++) count += line[i] == '\t';
    return count;
}

/* Writes a text as a JSON string. */
static mt_status put_string(mt_sink out, const char *text, size_t size, mt_error *error) {
    mt_status status = out.write(out.ctx, "\"", 1, error);
    for (size_t i = 0, start = 0; i <= size && status == MT_OK; i++) {
        unsigned char byte = i < size ? (unsigned char)text[i] : 0;
        if (i < size && byte >= 0x20 && byte != '"' && byte != '\\') continue;
        if (i > start) status = out.write(out.ctx, text + start, i - start, error);
        start = i + 1;
        if (i == size || status != MT_OK) continue;
        char code[8];
        int length = snprintf(code, sizeof code, "\\u%04x", byte);
        status = out.write(out.ctx, code, (size_t)length, error);
    }
    return status == MT_OK ? out.write(out.ctx, "\"", 1, error) : status;
}

static mt_status put_row(const mt_rows *rows, size_t size, mt_sink out, mt_error *error) {
    const char *name = rows->header, *names_end = name + rows->header_size, *value = rows->line, *end = value + size;
    mt_status status = out.write(out.ctx, "{", 1, error);
    for (bool first = true; status == MT_OK; first = false) {
        const char *name_end = memchr(name, '\t', (size_t)(names_end - name)), *value_end = memchr(value, '\t', (size_t)(end - value));
        bool last = !name_end || !value_end;
        if (!name_end) name_end = names_end;
        if (!value_end) value_end = end;
        if (!first) status = out.write(out.ctx, ", ", 2, error);
        if (status == MT_OK) status = put_string(out, name, (size_t)(name_end - name), error);
        if (status == MT_OK) status = out.write(out.ctx, ": ", 2, error);
        if (status == MT_OK) status = put_string(out, value, (size_t)(value_end - value), error);
        if (last) break;
        name = name_end + 1;
        value = value_end + 1;
    }
    return status == MT_OK ? out.write(out.ctx, "}", 1, error) : status;
}

static mt_status next(void *ctx, mt_rows *rows, mt_sink out, bool *found, mt_error *error) {
    (void)ctx;
    ssize_t length;
    *found = false;
    do length = read_line(rows, &rows->line, &rows->line_room);
    while (length == 0);
    if (length < 0) return ferror(rows->file) ? mt_fail(error, MT_IO, "the file cannot be read to its end", "") : MT_OK;
    size_t size = (size_t)length, wanted = columns(rows->header, (size_t)rows->header_size);
    char cause[96] = "", where[48];
    if (size > LONGEST_LINE) snprintf(cause, sizeof cause, "found a line of %zu bytes, wanted at most %d", size, LONGEST_LINE);
    else if (!is_utf8(rows->header, (size_t)rows->header_size) || !is_utf8(rows->line, size)) snprintf(cause, sizeof cause, "is not UTF-8");
    else if (columns(rows->line, size) != wanted)
        snprintf(cause, sizeof cause, "found %zu columns, wanted %zu", columns(rows->line, size), wanted);
    if (cause[0]) {
        mt_status status = out.write(out.ctx, rows->line, size < SHOWN ? size : SHOWN, error);
        snprintf(where, sizeof where, "line %lld", rows->number);
        return status == MT_OK ? mt_fail(error, MT_INVALID, cause, where) : status;
    }
    *found = true;
    return put_row(rows, size, out, error);
}

/* Where the next line starts, and how many are before it. */
static mt_status cursor(void *ctx, mt_rows *rows, mt_sink out, mt_error *error) {
    (void)ctx;
    char text[48];
    off_t place = ftello(rows->file);
    if (place < 0) return mt_fail(error, MT_IO, strerror(errno), "cursor");
    int size = snprintf(text, sizeof text, "%lld %lld", (long long)place, rows->number);
    return out.write(out.ctx, text, (size_t)size, error);
}

static mt_status seek(void *ctx, mt_rows *rows, mt_str cursor, mt_error *error) {
    (void)ctx;
    char text[48] = "";
    long long place, number;
    if (cursor.size < sizeof text) memcpy(text, cursor.data, cursor.size);
    if (sscanf(text, "%lld %lld", &place, &number) != 2 || place < 0 || number < 1)
        return mt_fail(error, MT_INVALID, "this is no cursor of such a table", "cursor");
    if (fseeko(rows->file, (off_t)place, SEEK_SET) != 0) return mt_fail(error, MT_IO, strerror(errno), "cursor");
    rows->number = number;
    return MT_OK;
}

static int64_t count(void *ctx, const mt_rows *rows) {
    (void)ctx, (void)rows;
    return -1; /* not known without reading them */
}

static const mt_dataset_table table = {sizeof table, 0, probe, open_rows, next, cursor, seek, count, close_rows};

static const mt_component components[] = {
    MT_COMPONENT(MT_KIND_DATASET, "tabrows", "Rows of a table whose columns are parted by tabs", &table),
};

MT_DEFINE_PLUGIN("example.tabrows", "0.1.0", components, NULL)
