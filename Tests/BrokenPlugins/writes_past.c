/* fails short-struct: it ignores the caller's struct_size */
#define LIMIT(size) (size)
#include "plugin.h"
