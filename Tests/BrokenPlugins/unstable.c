/* fails stable: it describes itself differently each time */
#define AT_END static int times; mine.ctx = times++ % 2 ? (void *)host : NULL;
#include "plugin.h"
