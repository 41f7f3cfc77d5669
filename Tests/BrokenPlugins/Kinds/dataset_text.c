/* fails kind-dataset: a row is no JSON object */
#define ROWS 1
#define ROW "[1]"
#define SEEK rows->at = 0
#include "dataset.h"
