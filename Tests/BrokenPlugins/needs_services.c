/* fails older-host: it uses a service without asking whether it is there */
#define AT_INIT const mt_log *log = host->service(host, MT_STR(MT_SERVICE_LOG)); log->write(log->ctx, 0, MT_STR("x"), MT_STR("y"));
#include "plugin.h"
