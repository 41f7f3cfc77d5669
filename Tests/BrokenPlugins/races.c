/* fails concurrent: its component function is not safe for threads */
#include <sched.h>
/* The shared length is 0 for a moment in each call. */
#define AT_END                   \
    static volatile size_t size; \
    size = 0;                    \
    sched_yield();               \
    size = mine.id.size;         \
    sched_yield();               \
    mine.id.size = size;
#include "plugin.h"
