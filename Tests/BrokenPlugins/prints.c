/* fails silent: it writes to standard output */
#define AT_INIT puts("hello"); fflush(stdout);
#include "plugin.h"
