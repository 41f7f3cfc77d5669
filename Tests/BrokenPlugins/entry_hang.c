/* fails entry: its entry never returns */
#define AT_ENTRY for (;;) sleep(1);
#include "plugin.h"
