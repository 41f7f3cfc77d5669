/* fails entry: its entry writes to address 0 */
#define AT_ENTRY *(volatile int *)0 = 1;
#include "plugin.h"
