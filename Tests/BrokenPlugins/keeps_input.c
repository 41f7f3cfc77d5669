/* fails kind-logger: it reads an input after the call that lent it */
#define AT_EVENT static const char *kept; if (kept) events += *(volatile const char *)kept; kept = record.data;
#include "plugin.h"
