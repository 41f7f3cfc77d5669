/* fails components: its component has no table */
#define AT_END mine.table = NULL;
#include "plugin.h"
