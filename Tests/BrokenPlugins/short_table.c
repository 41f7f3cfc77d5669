/* fails tables: its table is too short */
#define TABLE_SIZE 16
#include "plugin.h"
