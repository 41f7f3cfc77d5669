import Host

/// The files of a new plugin.
enum PluginTemplate {
    static let known = "logger in c, logger in rust"

    static func files(name: String, kind: String, language: String) -> [(String, String)]? {
        guard kind == "logger" else { return nil }
        switch language {
        case "c": return [("plugin.json", manifest(name)), ("Makefile", cMakefile(name)), ("exports.map", exports), ("\(name).c", c(name))]
        case "rust":
            return [
                ("plugin.json", manifest(name)), ("Makefile", rustMakefile(name)), ("Cargo.toml", cargo(name)),
                ("src/lib.rs", rust(name)),
            ]
        default: return nil
        }
    }

    private static func manifest(_ name: String) -> String {
        """
        {
          "schema": 1,
          "id": "example.\(name)",
          "version": "0.1.0",
          "abi": { "major": 1, "minor": 0 },
          "library": "lib\(name).so",
          "runtime": "c",
          "os": "linux",
          "architectures": ["\(Machine.current.architecture)"],
          "provides": [
            { "kind": "martlet.logger/1", "id": "\(name)", "summary": "Appends each record to DIRECTORY/\(name).jsonl" }
          ],
          "description": "Appends each record of a run to a file.",
          "license": "Apache-2.0"
        }

        """
    }

    private static let exports = "{ global: martlet_plugin_entry; local: *; };\n"

    private static func cMakefile(_ name: String) -> String {
        """
        # The contract's headers: where martlet was installed, or MARTLET_INCLUDE.
        MARTLET_INCLUDE ?= $(shell pkg-config --variable=includedir martlet 2>/dev/null)

        lib\(name).so: \(name).c exports.map
        \t$(CC) -std=c11 -O2 -fPIC -shared -Wall -Wextra -I"$(MARTLET_INCLUDE)" -Wl,--version-script=exports.map -o $@ $<

        """
    }

    private static func c(_ name: String) -> String {
        """
        /* A logger: appends each record of a run to a file. kinds/logger.h says what each function promises. */
        #include <martlet/martlet.h>
        #include <stdio.h>
        #include <string.h>

        static const mt_host *host;

        static mt_status failed(mt_error *error, mt_status status, const char *message) {
            if (error) {
                error->code = status;
                snprintf(error->message, sizeof error->message, "%s", message);
                error->where[0] = 0;
            }
            return status;
        }

        struct mt_log_run {
            FILE *file;
        };

        /* Opens <directory>/\(name).jsonl; the host's config service reads the settings. */
        static mt_status open_run(void *ctx, mt_str settings, mt_log_run **out, mt_error *error) {
            (void)ctx;
            const mt_config *config = host->service(host, MT_STR(MT_SERVICE_CONFIG));
            if (!config) return failed(error, MT_UNSUPPORTED, "the host has no config service");
            mt_document *document;
            mt_status status = config->parse(config->ctx, settings, &document, error);
            if (status != MT_OK) return status;
            char path[4096];
            size_t length = 0;
            struct text { char *at; size_t *length, limit; } text = {path, &length, sizeof path - 32};
            mt_status append(void *to, const void *data, size_t size, mt_error *e);
            mt_sink sink = {&text, append};
            status = config->string(config->ctx, document, MT_STR("directory"), sink, error);
            config->close(config->ctx, document);
            if (status != MT_OK) return status;
            memcpy(path + length, "/\(name).jsonl", sizeof "/\(name).jsonl");
            static mt_log_run run; /* one run at a time */
            if (run.file) return failed(error, MT_BUSY, "a run is already open");
            run.file = fopen(path, "a");
            if (!run.file) return failed(error, MT_IO, "the file cannot be opened");
            *out = &run;
            return MT_OK;
        }

        mt_status append(void *to, const void *data, size_t size, mt_error *error) {
            struct text { char *at; size_t *length, limit; } *text = to;
            if (size > text->limit - *text->length) return failed(error, MT_INVALID, "the directory's name is too long");
            memcpy(text->at + *text->length, data, size);
            *text->length += size;
            return MT_OK;
        }

        static mt_status event(void *ctx, mt_log_run *run, mt_str record, mt_error *error) {
            (void)ctx;
            if (fwrite(record.data, 1, record.size, run->file) != record.size || fputc('\\n', run->file) == EOF)
                return failed(error, MT_IO, "the record cannot be written");
            return MT_OK;
        }

        static mt_status flush(void *ctx, mt_log_run *run, mt_error *error) {
            (void)ctx;
            return fflush(run->file) == 0 ? MT_OK : failed(error, MT_IO, "the file cannot be flushed");
        }

        static void close_run(void *ctx, mt_log_run *run) {
            (void)ctx;
            fclose(run->file);
            run->file = NULL;
        }

        static const mt_logger_table table = {sizeof table, 0, open_run, event, flush, close_run};

        /* ---- the plugin ---- */

        static mt_status initialize(void *ctx, const mt_host *with, mt_error *error) {
            (void)ctx;
            (void)error;
            host = with;
            return MT_OK;
        }
        static void deinitialize(void *ctx) { (void)ctx; }
        static size_t component_count(void *ctx) {
            (void)ctx;
            return 1;
        }
        static mt_status component(void *ctx, size_t index, mt_component *out, mt_error *error) {
            (void)ctx;
            if (index > 0) return failed(error, MT_INVALID, "there is one component, number 0");
            const mt_component mine = {
                sizeof mine, 0, MT_STR(MT_KIND_LOGGER), MT_STR("\(name)"), MT_STR("Appends each record to DIRECTORY/\(name).jsonl"), &table, NULL,
            };
            uint32_t size = out->struct_size; /* an older host knows fewer fields */
            memcpy(out, &mine, size < sizeof mine ? size : sizeof mine);
            return MT_OK;
        }
        static const void *interface(void *ctx, mt_str id) {
            (void)ctx;
            (void)id;
            return NULL;
        }

        MT_EXPORT const mt_plugin *martlet_plugin_entry(const mt_host *with, mt_error *error) {
            (void)with;
            (void)error;
            static const mt_plugin plugin = {
                sizeof plugin, MT_ABI_MAJOR, 0, {"example.\(name)", sizeof "example.\(name)" - 1}, {"0.1.0", 5}, NULL,
                initialize, deinitialize, component_count, component, interface,
            };
            return &plugin;
        }

        """
    }

    private static func cargo(_ name: String) -> String {
        """
        [package]
        name = "\(name)"
        version = "0.1.0"
        edition = "2021"

        [lib]
        crate-type = ["cdylib"]

        [profile.release]
        panic = "abort"

        """
    }

    private static func rustMakefile(_ name: String) -> String {
        """
        lib\(name).so: src/lib.rs Cargo.toml
        \tcargo build --release --offline
        \tcp target/release/lib\(name).so $@

        """
    }

    /// The contract's structs as #[repr(C)], and the same logger without the config service.
    private static func rust(_ name: String) -> String {
        """
        //! A logger: counts the records of a run and says so in the host's log when it is closed.
        use std::ffi::c_void;
        use std::sync::atomic::{AtomicPtr, Ordering};

        // ---- base.h, plugin.h, host.h and kinds/logger.h, as far as they are used here ----
        #[repr(C)] #[derive(Clone, Copy)]
        pub struct Str { data: *const u8, size: usize }
        #[repr(C)]
        pub struct Error { struct_size: u32, code: i32, message: [u8; 1024], place: [u8; 256] }
        #[repr(C)]
        pub struct Host {
            struct_size: u32, major: u16, minor: u16, name: Str, version: Str,
            service: extern "C" fn(*const Host, Str) -> *const c_void,
        }
        #[repr(C)]
        struct Log { struct_size: u32, reserved: u32, ctx: *mut c_void, write: extern "C" fn(*mut c_void, i32, Str, Str) }
        #[repr(C)] #[derive(Clone, Copy)]
        pub struct Component {
            struct_size: u32, priority: i32, kind: Str, id: Str, summary: Str, table: *const LoggerTable, ctx: *mut c_void,
        }
        #[repr(C)]
        pub struct LoggerTable {
            struct_size: u32, reserved: u32,
            open: extern "C" fn(*mut c_void, Str, *mut *mut Run, *mut Error) -> i32,
            event: extern "C" fn(*mut c_void, *mut Run, Str, *mut Error) -> i32,
            flush: extern "C" fn(*mut c_void, *mut Run, *mut Error) -> i32,
            close: extern "C" fn(*mut c_void, *mut Run),
        }
        #[repr(C)]
        pub struct Plugin {
            struct_size: u32, major: u16, minor: u16, id: Str, version: Str, ctx: *mut c_void,
            init: extern "C" fn(*mut c_void, *const Host, *mut Error) -> i32,
            deinit: extern "C" fn(*mut c_void),
            component_count: extern "C" fn(*mut c_void) -> usize,
            component: extern "C" fn(*mut c_void, usize, *mut Component, *mut Error) -> i32,
            interface: extern "C" fn(*mut c_void, Str) -> *const c_void,
        }
        unsafe impl Sync for Plugin {}
        unsafe impl Sync for LoggerTable {}

        const fn text(value: &'static str) -> Str { Str { data: value.as_ptr(), size: value.len() } }
        static HOST: AtomicPtr<Host> = AtomicPtr::new(std::ptr::null_mut());

        fn log(message: &str) {
            let host = HOST.load(Ordering::Acquire);
            if host.is_null() { return }
            unsafe {
                let log = ((*host).service)(host, text("martlet.log/1")) as *const Log;
                if !log.is_null() {
                    ((*log).write)((*log).ctx, 1, text("example.\(name)"), Str { data: message.as_ptr(), size: message.len() });
                }
            }
        }

        // ---- the logger ----
        pub struct Run { records: u64 }

        extern "C" fn open(_: *mut c_void, _: Str, out: *mut *mut Run, _: *mut Error) -> i32 {
            unsafe { *out = Box::into_raw(Box::new(Run { records: 0 })) };
            0
        }
        extern "C" fn event(_: *mut c_void, run: *mut Run, _: Str, _: *mut Error) -> i32 {
            unsafe { (*run).records += 1 };
            0
        }
        extern "C" fn flush(_: *mut c_void, _: *mut Run, _: *mut Error) -> i32 { 0 }
        extern "C" fn close(_: *mut c_void, run: *mut Run) {
            let run = unsafe { Box::from_raw(run) };
            log(&format!("{} records", run.records));
        }
        static TABLE: LoggerTable =
            LoggerTable { struct_size: std::mem::size_of::<LoggerTable>() as u32, reserved: 0, open, event, flush, close };

        // ---- the plugin ----
        extern "C" fn init(_: *mut c_void, host: *const Host, _: *mut Error) -> i32 {
            HOST.store(host as *mut Host, Ordering::Release);
            0
        }
        extern "C" fn deinit(_: *mut c_void) {}
        extern "C" fn component_count(_: *mut c_void) -> usize { 1 }
        extern "C" fn component(_: *mut c_void, index: usize, out: *mut Component, error: *mut Error) -> i32 {
            if index > 0 {
                let message = b"there is one component, number 0\\0";
                unsafe { std::ptr::copy_nonoverlapping(message.as_ptr(), (*error).message.as_mut_ptr(), message.len()) };
                return 2;
            }
            let mine = Component {
                struct_size: std::mem::size_of::<Component>() as u32, priority: 0, kind: text("martlet.logger/1"),
                id: text("\(name)"), summary: text("Counts the records of a run"), table: &TABLE, ctx: std::ptr::null_mut(),
            };
            unsafe {
                // An older host knows fewer fields.
                let size = ((*out).struct_size as usize).min(std::mem::size_of::<Component>());
                std::ptr::copy_nonoverlapping(&mine as *const Component as *const u8, out as *mut u8, size);
            }
            0
        }
        extern "C" fn interface(_: *mut c_void, _: Str) -> *const c_void { std::ptr::null() }

        static PLUGIN: Plugin = Plugin {
            struct_size: std::mem::size_of::<Plugin>() as u32, major: 1, minor: 0, id: text("example.\(name)"),
            version: text("0.1.0"), ctx: std::ptr::null_mut(), init, deinit, component_count, component, interface,
        };

        #[no_mangle]
        pub extern "C" fn martlet_plugin_entry(_: *const Host, _: *mut Error) -> *const Plugin { &PLUGIN }

        """
    }
}
