/* fails init: its init never returns */
#define AT_INIT for (;;) sleep(1);
#include "plugin.h"
