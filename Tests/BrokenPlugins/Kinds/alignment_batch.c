/* fails kind-alignment: each part of a window is averaged by itself */
#define SHARE(b, sum, batch) mt_binary(b, MT_STR("div"), sum, total(b, batch->weights))
#include "alignment.h"
