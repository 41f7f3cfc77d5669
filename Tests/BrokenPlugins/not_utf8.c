/* fails components: its component's summary is no UTF-8 */
#define AT_END mine.summary = MT_STR("\xff\xfe");
#include "plugin.h"
