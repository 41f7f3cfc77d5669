/* fails entry: its entry ends the process */
#define AT_ENTRY _exit(0);
#include "plugin.h"
