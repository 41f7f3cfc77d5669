/* fails entry-again: its entry works once */
#define AT_ENTRY if (calls++) plugin.abi_major = 9;
#include "plugin.h"
