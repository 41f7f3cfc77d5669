/* fails interface: it answers an interface that it cannot know */
#define INTERFACE &events
#include "plugin.h"
