/* fails entry: its entry returns NULL without a message */
#define AT_ENTRY return NULL;
#include "plugin.h"
