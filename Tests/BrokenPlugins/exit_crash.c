/* fails link: its destructor crashes when the process ends */
#include "plugin.h"
__attribute__((destructor)) static void fall(void) { abort(); }
