/* fails entry: it exports no entry */
#define NO_ENTRY
#include "plugin.h"
