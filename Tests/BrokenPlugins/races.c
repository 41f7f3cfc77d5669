/* fails concurrent: its component function is not safe for threads */
#include <sched.h>
/* The shared length is 0 for a moment in each call. Every 32nd call gives its core away in that moment, and again after it:
 * a busy machine takes milliseconds to give it back, and the other cases have a time limit. */
#define AT_END                     \
    static volatile size_t size;   \
    static volatile unsigned turn; \
    int waits = ++turn % 32 == 0;  \
    size = 0;                      \
    if (waits) sched_yield();      \
    size = mine.id.size;           \
    if (waits) sched_yield();      \
    mine.id.size = size;
#include "plugin.h"
