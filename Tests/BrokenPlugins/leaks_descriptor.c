/* fails state: it leaves a descriptor open */
#define AT_INIT if (dup(0) < 0) return MT_IO;
#include "plugin.h"
