/* fails kind-engine: it takes requests and never works */
#define BUSY 0
#define TOKEN 1
#include "engine.h"
