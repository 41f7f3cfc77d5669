/* Tells whether bytes are one JSON object, at the speed of simdjson. No exception leaves these functions. */
#ifndef ROW_CHECK_H
#define ROW_CHECK_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct row_check row_check;

enum row_check_result {
    ROW_CHECK_OBJECT = 0,
    ROW_CHECK_NOT_JSON = 1,
    ROW_CHECK_NOT_OBJECT = 2,
    ROW_CHECK_DUPLICATE_KEY = 3,
    ROW_CHECK_NO_MEMORY = 4,
};

/* Bytes that must be readable behind the text. */
#define ROW_CHECK_PADDING 64

/* Documents nested deeper than `max_depth` are not JSON to it. NULL when memory is short. */
row_check *row_check_create(size_t max_depth);
void row_check_destroy(row_check *check);
/* Checks `size` bytes at `text`. */
int row_check_run(row_check *check, const char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
