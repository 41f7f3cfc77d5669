/* Martlet plugin contract: the types that every other header stands on.
 *
 * Rules that hold everywhere:
 *  - Text is UTF-8 as {pointer, length}; it need not end in NUL and may hold NUL.
 *  - Whoever creates a thing destroys it. Inputs are borrowed for the call; tables and descriptors live as long as
 *    the process. Output of unknown length goes through a sink that the caller gives.
 *  - Every struct that crosses starts with struct_size, set by its creator. A field exists when struct_size covers it;
 *    a function exists when it is also not NULL. Fields are only ever appended.
 *  - A callback takes its context first and its error last. A status other than MT_OK comes with a message.
 *  - Thread tags: [any] any thread at any time; [instance] one thread at a time for one object, which may be
 *    another one each time; [main] the thread that called the entry. What ends an object is its last call.
 */
#ifndef MARTLET_BASE_H
#define MARTLET_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define MT_EXTERN_C extern "C"
#else
#define MT_EXTERN_C extern
#endif

#define MT_ABI_MAJOR 1
#define MT_ABI_MINOR 0

/* The minor version a plugin is written for. Define it before including to hide what came later. */
#ifndef MT_TARGET_MINOR
#define MT_TARGET_MINOR MT_ABI_MINOR
#endif

/* Whether *object is large enough to hold `field`, and whether it holds a function there. */
#define MT_HAS(object, field) \
    ((object)->struct_size >= offsetof(__typeof__(*(object)), field) + sizeof((object)->field))
#define MT_CAN(object, function) (MT_HAS(object, function) && (object)->function != NULL)

/* Status codes. Positive is failure; a receiver treats an unknown code as MT_ERROR. */
typedef int32_t mt_status;
#define MT_OK 0
#define MT_ERROR 1         /* none of the others */
#define MT_INVALID 2       /* an argument or a file breaks its rules */
#define MT_UNSUPPORTED 3   /* understood, and not offered */
#define MT_NOT_FOUND 4
#define MT_OUT_OF_MEMORY 5
#define MT_IO 6
#define MT_CANCELLED 7
#define MT_BUSY 8          /* try again later */
#define MT_DENIED 9        /* policy forbids it */

typedef struct mt_str {
    const char *data; /* may be NULL when size is 0 */
    size_t size;      /* bytes */
} mt_str;

typedef struct mt_bytes {
    const void *data;
    size_t size;
} mt_bytes;

/* A literal as mt_str. */
#ifdef __cplusplus
#define MT_STR(literal) (mt_str{(literal), sizeof(literal) - 1})
#else
#define MT_STR(literal) ((mt_str){(literal), sizeof(literal) - 1})
#endif

/* The caller's buffer for what went wrong. The callee fills it before it returns a failure, NUL-terminated. */
typedef struct mt_error {
    uint32_t struct_size;
    int32_t code;
    char message[1024]; /* what, found, wanted, how to fix */
    char where[256];    /* file, field, block or op; may be empty */
} mt_error;

/* Receives output of unknown length; may be called several times, with consecutive parts. */
typedef struct mt_sink {
    void *ctx;
    mt_status (*write)(void *ctx, const void *data, size_t size, mt_error *error); /* [instance] */
} mt_sink;

/* Element types, numbered as DLPack's DLDataTypeCode with the width beside it. */
typedef struct mt_dtype {
    uint8_t code;   /* MT_CODE_... */
    uint8_t bits;
    uint16_t lanes; /* 1 */
} mt_dtype;
#define MT_CODE_INT 0
#define MT_CODE_UINT 1
#define MT_CODE_FLOAT 2
#define MT_CODE_BFLOAT 4
#define MT_CODE_BOOL 6

/* A tensor in memory, laid out as DLPack's DLTensor (dmlc/dlpack, dlpack.h). */
typedef struct mt_tensor {
    void *data;
    int32_t device_type; /* 1 = CPU, 2 = CUDA, as in DLPack */
    int32_t device_id;
    int32_t ndim;
    mt_dtype dtype;
    int64_t *shape;   /* ndim sizes */
    int64_t *strides; /* in elements; NULL = compact row-major */
    uint64_t byte_offset;
} mt_tensor;

#endif
