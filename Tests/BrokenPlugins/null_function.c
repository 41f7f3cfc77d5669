/* fails tables: a required function is NULL */
#define FLUSH NULL
#include "plugin.h"
