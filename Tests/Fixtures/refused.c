/* Plugins that the host must refuse; ENTRY is the body of the entry. Without it there is none. */
#include <martlet/martlet.h>
#include <stdio.h>

static int behaviour;
static const mt_logger_table table = {sizeof(mt_logger_table), 0, NULL, NULL, NULL, NULL};

static mt_status initialize(void *ctx, const mt_host *host, mt_error *error) {
    (void)ctx; (void)host;
    if (behaviour == 1) snprintf(error->message, sizeof error->message, "no disk");
    return behaviour == 1 || behaviour == 2 ? MT_IO : MT_OK;
}
static size_t count(void *ctx) { (void)ctx; return behaviour == 7 ? (size_t)-1 : 1; }
static mt_status component(void *ctx, size_t index, mt_component *out, mt_error *error) {
    (void)ctx; (void)index;
    if (behaviour == 3) {
        snprintf(error->message, sizeof error->message, "broken");
        return MT_ERROR;
    }
    out->kind = MT_STR(MT_KIND_LOGGER);
    out->id = behaviour == 5 ? MT_STR("\xff\xfe") : behaviour == 6 ? MT_STR("other") : MT_STR(COMPONENT);
    out->table = behaviour == 4 ? NULL : &table;
    return MT_OK;
}

static mt_plugin plugin __attribute__((unused)) = {
    sizeof(mt_plugin), MT_ABI_MAJOR, 0, {ID, sizeof ID - 1}, {"1.0.0", 5}, NULL, initialize, NULL, count, component, NULL,
};

#ifdef ENTRY
MT_EXPORT const mt_plugin *martlet_plugin_entry(const mt_host *host, mt_error *error) {
    (void)host; (void)error;
    ENTRY
}
#else
int unrelated(void) { return behaviour + (int)table.struct_size; }
#endif
