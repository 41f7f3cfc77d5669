/* fails entry: its entry aborts */
#define AT_ENTRY abort();
#include "plugin.h"
