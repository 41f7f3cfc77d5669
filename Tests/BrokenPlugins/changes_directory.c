/* fails state: it changes the working directory */
#define AT_INIT if (chdir("/")) return MT_IO;
#include "plugin.h"
