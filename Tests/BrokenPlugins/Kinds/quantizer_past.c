/* fails kind-quantizer: it writes a block more than it planned */
#define FILL(block, x) memset(block, 0, 68), (void)(x);
#include "quantizer.h"
