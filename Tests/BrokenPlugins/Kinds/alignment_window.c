/* fails kind-alignment: the parts of a window do not add up, for it does not divide by the window's size */
#define SHARE(b, sum, batch) sum
#include "alignment.h"
