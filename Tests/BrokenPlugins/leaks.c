/* fails leaks: it takes memory on each call */
#define AT_COMPONENT if (!malloc(64)) return MT_OUT_OF_MEMORY;
#include "plugin.h"
