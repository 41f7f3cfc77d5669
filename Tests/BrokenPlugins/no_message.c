/* fails error-message: it fails without a message */
#define RANGE if (index >= 1) return MT_INVALID;
#include "plugin.h"
