/* fails threads: its entry starts a thread */
#include <pthread.h>
static void *loiter(void *);
#define AT_ENTRY pthread_t id; pthread_create(&id, NULL, loiter, NULL);
#include "plugin.h"

static void *loiter(void *argument) {
    sleep(5);
    return argument;
}
