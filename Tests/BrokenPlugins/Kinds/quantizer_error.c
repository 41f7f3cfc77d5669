/* fails kind-quantizer: what is read back is zero, and the plan promises a thousandth */
#define FILL(block, x) memset(block, 0, 34), (void)(x);
#include "quantizer.h"
