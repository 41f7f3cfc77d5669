/* fails kind-quantizer: a part of the planned bytes is never written */
#define FILL(block, x) memset(block, 0, 30), (void)(x);
#include "quantizer.h"
