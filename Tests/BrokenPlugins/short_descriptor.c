/* fails descriptor: its descriptor is too short */
#define PLUGIN_SIZE 16
#include "plugin.h"
