/* fails descriptor: its id is not the manifest's */
#define PLUGIN_ID "test.other"
#include "plugin.h"
