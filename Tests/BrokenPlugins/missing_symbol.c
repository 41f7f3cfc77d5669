/* fails link: it needs a symbol that nobody has */
extern int nobody_has_this(void);
#define AT_INIT if (nobody_has_this()) return MT_ERROR;
#include "plugin.h"
