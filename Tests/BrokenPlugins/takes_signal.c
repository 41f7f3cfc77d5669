/* fails state: it takes over a signal */
#define AT_INIT signal(SIGPIPE, SIG_IGN);
#include "plugin.h"
