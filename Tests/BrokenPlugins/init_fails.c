/* fails init: its init fails */
#define AT_INIT snprintf(error->message, sizeof error->message, "no licence"); return MT_DENIED;
#include "plugin.h"
