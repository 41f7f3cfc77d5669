/* fails kind-model-graph: describe says another width than it builds */
#define _GNU_SOURCE
#define HIDDEN "12"
#define MIX(b, x) x
#include "model.h"
