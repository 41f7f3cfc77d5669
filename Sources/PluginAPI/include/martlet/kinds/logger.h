/* Kind "martlet.logger/1" (draft): where a run's metrics go. */
#ifndef MARTLET_KINDS_LOGGER_H
#define MARTLET_KINDS_LOGGER_H

#include "../base.h"

#define MT_KIND_LOGGER "martlet.logger/1"

typedef struct mt_log_run mt_log_run;

typedef struct mt_logger_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* Opens a run. `settings` is JSON: {"directory": "...", "run": "name", "config": {...}}. [any] */
    mt_status (*open)(void *ctx, mt_str settings, mt_log_run **out, mt_error *error);
    /* One record: a JSON object with "step", "time" (seconds since 1970) and numbers by name. [instance] */
    mt_status (*event)(void *ctx, mt_log_run *run, mt_str record, mt_error *error);
    mt_status (*flush)(void *ctx, mt_log_run *run, mt_error *error); /* [instance] */
    void (*close)(void *ctx, mt_log_run *run); /* [instance] */
} mt_logger_table;

#endif
