/* fails init: its init follows a wild pointer */
#define AT_INIT raise(SIGSEGV);
#include "plugin.h"
