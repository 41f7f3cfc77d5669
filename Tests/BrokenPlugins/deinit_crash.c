/* fails deinit: its deinit crashes */
#define AT_DEINIT abort();
#include "plugin.h"
