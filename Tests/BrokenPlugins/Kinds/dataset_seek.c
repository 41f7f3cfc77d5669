/* fails kind-dataset: seek does not lead back */
#define ROWS 1
#define ROW "{}"
#define SEEK (void)rows
#include "dataset.h"
