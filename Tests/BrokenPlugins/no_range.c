/* fails out-of-range: it describes components that do not exist */
#define RANGE
#include "plugin.h"
