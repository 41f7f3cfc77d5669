//! The contract of plugins for Martlet: implement the trait of a kind, and say `martlet::plugin!` once.
//!
//! The structs are those of `base.h`, `plugin.h`, `host.h`, `graph.h` and of the kinds model, logger, row, tuner, optimizer,
//! alignment, quantizer and dataset. A panic is caught and becomes a failure with its message; nothing unwinds into the host.

pub mod abi;
mod alignment;
mod dataset;
mod document;
mod graph;
mod model;
mod optimizer;
mod quantizer;
mod tuner;

pub use alignment::{alignment, needs, Alignment, Metric, Objective};
pub use dataset::{dataset, Dataset, Stop};
pub use document::{text, Document, Fallback};
pub use graph::{flag, integer, integers, number, Graph, Value};
pub use model::{model, Attention, Description, Inputs, ModelFamily};
pub use optimizer::{optimizer, Optimizer, State, Update};
pub use quantizer::{quantizer, Plan, Quantizer};
pub use tuner::{tuner, Site, Trained, Tuner};

use abi::{Host, RawError, Sink, Str};
use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicPtr, Ordering};

/// Why a call fails: one of the contract's status codes, what went wrong, and where.
pub struct Failure {
    pub status: i32,
    pub message: String,
    pub place: String,
}

impl Failure {
    /// An argument or a file breaks its rules.
    pub fn invalid(message: impl Into<String>, place: impl Into<String>) -> Self {
        Failure { status: abi::INVALID, message: message.into(), place: place.into() }
    }

    /// The host does not offer what is needed.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Failure { status: abi::UNSUPPORTED, message: message.into(), place: String::new() }
    }
}

/// A logger: where a run's metrics go.
pub trait Logger: Sized + Send {
    /// Opens a run; `settings` is JSON: {"directory": …, "run": …, "config": {…}}.
    fn open(settings: &str) -> Result<Self, Failure>;
    /// Takes a record: a JSON object with "step", "time" and numbers by name.
    fn event(&mut self, record: &str) -> Result<(), Failure>;
    fn flush(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A filter, reward or metric: a number from a row, the text of a JSON object. Called by several threads at once.
pub trait RowFunction {
    fn judge(row: &Document) -> Result<f64, Failure>;
}

/// Writes one line to the host's log.
pub fn log(source: &str, message: &str) {
    let table = service("martlet.log/1") as *const abi::Log;
    if let Some(log) = unsafe { table.as_ref() } {
        (log.write)(log.ctx, 1, Str::lend(source), Str::lend(message));
    }
}

static HOST: AtomicPtr<Host> = AtomicPtr::new(std::ptr::null_mut());

/// Keeps the host; called by the init that `plugin!` makes.
#[doc(hidden)]
pub fn attach(host: *const Host) {
    HOST.store(host as *mut Host, Ordering::Release);
}

pub(crate) fn service(id: &'static str) -> *const c_void {
    let host = HOST.load(Ordering::Acquire);
    match unsafe { host.as_ref() } {
        Some(table) => (table.service)(host, Str::lend(id)),
        None => std::ptr::null(),
    }
}

/// Calls a function of the host; its failure becomes a `Failure`.
pub(crate) fn ask(call: impl FnOnce(*mut RawError) -> i32) -> Result<(), Failure> {
    let mut error = RawError::empty();
    match call(&mut error) {
        abi::OK => Ok(()),
        status => Err(Failure { status, message: error.text(), place: error.place() }),
    }
}

/// Writes a text to the host's sink.
pub(crate) fn put(out: Sink, text: &str) -> Result<(), Failure> {
    ask(|error| (out.write)(out.ctx, text.as_ptr() as *const c_void, text.len(), error))
}

/// What a pointer and a count of the contract lend for the call.
///
/// # Safety
/// `data` is NULL or points to `count` elements.
pub(crate) unsafe fn list<'a, T>(data: *const T, count: usize) -> &'a [T] {
    if data.is_null() || count == 0 {
        return &[];
    }
    std::slice::from_raw_parts(data, count)
}

/// Runs `body`; a failure or a panic fills the error.
pub(crate) fn guarded(error: *mut RawError, body: impl FnOnce() -> Result<(), Failure>) -> i32 {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return abi::OK,
        Ok(Err(failure)) => failure,
        Err(_) => Failure { status: abi::ERROR, message: "the plugin panicked".into(), place: String::new() },
    };
    if let Some(error) = unsafe { error.as_mut() } {
        error.fill(&failure);
    }
    failure.status
}

/// The table of a logger.
pub const fn logger<L: Logger>() -> abi::LoggerTable {
    extern "C" fn open<L: Logger>(_: *mut c_void, settings: Str, out: *mut *mut c_void, error: *mut RawError) -> i32 {
        guarded(error, || {
            let run = L::open(&settings.text())?;
            unsafe { *out = Box::into_raw(Box::new(run)) as *mut c_void };
            Ok(())
        })
    }
    extern "C" fn event<L: Logger>(_: *mut c_void, run: *mut c_void, record: Str, error: *mut RawError) -> i32 {
        guarded(error, || unsafe { &mut *(run as *mut L) }.event(&record.text()))
    }
    extern "C" fn flush<L: Logger>(_: *mut c_void, run: *mut c_void, error: *mut RawError) -> i32 {
        guarded(error, || unsafe { &mut *(run as *mut L) }.flush())
    }
    extern "C" fn close<L: Logger>(_: *mut c_void, run: *mut c_void) {
        guarded(std::ptr::null_mut(), || {
            drop(unsafe { Box::from_raw(run as *mut L) });
            Ok(())
        });
    }
    abi::LoggerTable {
        struct_size: std::mem::size_of::<abi::LoggerTable>() as u32, reserved: 0, open: open::<L>, event: event::<L>,
        flush: flush::<L>, close: close::<L>,
    }
}

/// The table of a filter, reward or metric.
pub const fn row<F: RowFunction>() -> abi::RowTable {
    extern "C" fn judge<F: RowFunction>(_: *mut c_void, row: Str, out: *mut f64, error: *mut RawError) -> i32 {
        guarded(error, || {
            unsafe { *out = F::judge(&Document::parse(row)?)? };
            Ok(())
        })
    }
    abi::RowTable { struct_size: std::mem::size_of::<abi::RowTable>() as u32, reserved: 0, judge: judge::<F> }
}

/// Defines the library's entry: `plugin!("id", "version", kind, "component id", "summary", table)`.
#[macro_export]
macro_rules! plugin {
    ($id:literal, $version:literal, $kind:literal, $component:literal, $summary:literal, $type:ty = $table:expr) => {
        const _: () = {
            use std::ffi::c_void;
            use $crate::abi::{Component, Host, Plugin, RawError, Str};
            static TABLE: $type = $table;
            static COMPONENT: Component =
                Component::new(Str::lend($kind), Str::lend($component), Str::lend($summary), &TABLE as *const $type as *const c_void);
            extern "C" fn init(_: *mut c_void, host: *const Host, _: *mut RawError) -> i32 {
                $crate::attach(host);
                $crate::abi::OK
            }
            extern "C" fn count(_: *mut c_void) -> usize {
                1
            }
            extern "C" fn component(_: *mut c_void, index: usize, out: *mut Component, error: *mut RawError) -> i32 {
                unsafe { COMPONENT.give(index, out, error) }
            }
            static PLUGIN: Plugin = Plugin::new(Str::lend($id), Str::lend($version), init, count, component);
            #[no_mangle]
            pub extern "C" fn martlet_plugin_entry(_: *const Host, _: *mut RawError) -> *const Plugin {
                &PLUGIN
            }
        };
    };
}
