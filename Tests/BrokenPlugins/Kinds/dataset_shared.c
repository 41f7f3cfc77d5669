/* fails kind-dataset: all readers share one place in the file */
#define ROWS 3
#define ROW "{}"
#define SEEK rows->at = 0
#include "dataset.h"
