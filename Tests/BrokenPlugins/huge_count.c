/* fails components: it reports 2^64 - 1 components */
#define COUNT (size_t)-1
#include "plugin.h"
