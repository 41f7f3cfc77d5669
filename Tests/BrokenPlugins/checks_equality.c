/* fails newer-host: it wants one minor and no later one */
#define AT_INIT if (host->abi_minor != 0) { snprintf(error->message, sizeof error->message, "wrong minor"); return MT_UNSUPPORTED; }
#include "plugin.h"
