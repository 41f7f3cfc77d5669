/* fails init: its init fails without a message */
#define AT_INIT return MT_IO;
#include "plugin.h"
