/* fails kind-engine: its tokens are not the model's, and it cancels nothing */
#define BUSY 1
#define TOKEN 1
#include "engine.h"
