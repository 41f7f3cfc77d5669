// What the machine can do: reading from memory, and multiply-adds on registers alone.
#ifndef MARTLET_CEILINGS_H
#define MARTLET_CEILINGS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum martlet_ceiling {
    MARTLET_CEILING_READ,  // bytes read, over 512 MiB in 2 MiB pages
    MARTLET_CEILING_F32,   // operations; a multiply-add is two
    MARTLET_CEILING_BF16,
    MARTLET_CEILING_INT8,
} martlet_ceiling;

/// A loop whose bodies may run on any threads: `body(argument, index, thread)` for index in 0..<count.
typedef struct martlet_load {
    void (*body)(void *argument, size_t index, size_t thread);
    void *argument;
    size_t count;
    double work;  // bytes or operations of the whole loop
} martlet_load;

/// The loop that measures a ceiling with that many threads; false where this processor has no such instructions.
bool martlet_ceiling_load(martlet_ceiling ceiling, size_t threads, martlet_load *out);

#endif
