/* fails exports: it exports a second name */
#include "plugin.h"

MT_EXPORT int martlet_extra(void);
int martlet_extra(void) { return (int)events; }
