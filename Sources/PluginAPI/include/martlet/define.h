/* For plugins written in C: the descriptor and the entry in one line, and an error in another. martlet.h does not include
 * this header; a plugin that wants it does, in one source file.
 *
 *     static const mt_component components[] = {
 *         MT_COMPONENT(MT_KIND_LOGGER, "mylog", "Appends records to a file", &table),
 *     };
 *     MT_DEFINE_PLUGIN("example.mylog", "0.1.0", components, NULL)
 */
#ifndef MARTLET_DEFINE_H
#define MARTLET_DEFINE_H

#include "plugin.h"

/* Fills the error and gives the status back. Texts that are too long are cut. */
static inline mt_status mt_fail(mt_error *error, mt_status status, const char *message, const char *where) {
    size_t i;
    if (!error) return status;
    error->code = status;
    for (i = 0; i + 1 < sizeof error->message && message[i]; i++) error->message[i] = message[i];
    error->message[i] = 0;
    for (i = 0; i + 1 < sizeof error->where && where[i]; i++) error->where[i] = where[i];
    error->where[i] = 0;
    return status;
}

/* Copies component `index` as far as the host's struct_size reaches: an older host knows fewer fields. */
static inline mt_status mt_give_component(const mt_component *all, size_t count, size_t index, mt_component *out,
                                          mt_error *error) {
    size_t i, size = out->struct_size < sizeof *out ? out->struct_size : sizeof *out;
    if (index >= count) return mt_fail(error, MT_INVALID, "there is no component of this number", "");
    for (i = 0; i < size; i++) ((unsigned char *)out)[i] = ((const unsigned char *)(all + index))[i];
    return MT_OK;
}

/* A component of constant texts; `table` is the address of the kind's table. */
#define MT_COMPONENT(kind, id, summary, table)                                                                     \
    {sizeof(mt_component), 0, {kind, sizeof(kind) - 1}, {id, sizeof(id) - 1}, {summary, sizeof(summary) - 1}, table, NULL}

/* Defines martlet_plugin_entry. `initialize` is NULL, or a function as mt_plugin.init. */
#define MT_DEFINE_PLUGIN(plugin_id, plugin_version, components, initialize)                                        \
    static size_t mt_defined_count(void *ctx) {                                                                    \
        (void)ctx;                                                                                                 \
        return sizeof(components) / sizeof *(components);                                                          \
    }                                                                                                              \
    static mt_status mt_defined_component(void *ctx, size_t index, mt_component *out, mt_error *error) {           \
        return mt_give_component(components, mt_defined_count(ctx), index, out, error);                            \
    }                                                                                                              \
    MT_EXTERN_C MT_EXPORT const mt_plugin *martlet_plugin_entry(const mt_host *host, mt_error *error);             \
    MT_EXPORT const mt_plugin *martlet_plugin_entry(const mt_host *host, mt_error *error) {                        \
        static const mt_plugin plugin = {                                                                          \
            sizeof(mt_plugin), MT_ABI_MAJOR, 0, {plugin_id, sizeof(plugin_id) - 1},                                \
            {plugin_version, sizeof(plugin_version) - 1}, NULL, initialize, NULL, mt_defined_count,                \
            mt_defined_component, NULL,                                                                            \
        };                                                                                                         \
        (void)host;                                                                                                \
        (void)error;                                                                                               \
        return &plugin;                                                                                            \
    }

#endif
