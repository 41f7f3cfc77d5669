/* fails components: it offers what its manifest does not claim */
#define COMPONENT_ID "other"
#include "plugin.h"
