//! The contract's structs, field by field as in the headers.

mod kinds;

pub use kinds::*;

use crate::Failure;
use std::ffi::c_void;

pub const OK: i32 = 0;
pub const ERROR: i32 = 1;
pub const INVALID: i32 = 2;
pub const UNSUPPORTED: i32 = 3;
pub const NOT_FOUND: i32 = 4;
pub const OUT_OF_MEMORY: i32 = 5;
pub const IO: i32 = 6;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Str {
    data: *const u8,
    size: usize,
}

impl Str {
    pub const fn lend(text: &str) -> Str {
        Str { data: text.as_ptr(), size: text.len() }
    }

    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// A copy, with what is no UTF-8 repaired.
    pub fn text(&self) -> String {
        if self.size == 0 || self.data.is_null() {
            return String::new();
        }
        String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(self.data, self.size) }).into_owned()
    }
}

/// mt_error
#[repr(C)]
pub struct RawError {
    struct_size: u32,
    code: i32,
    message: [u8; 1024],
    place: [u8; 256],
}

impl RawError {
    pub fn empty() -> RawError {
        RawError { struct_size: std::mem::size_of::<RawError>() as u32, code: 0, message: [0; 1024], place: [0; 256] }
    }

    pub fn fill(&mut self, failure: &Failure) {
        self.code = failure.status;
        copy(&failure.message, &mut self.message);
        copy(&failure.place, &mut self.place);
    }

    pub fn text(&self) -> String {
        terminated(&self.message)
    }

    pub fn place(&self) -> String {
        terminated(&self.place)
    }
}

/// Cut at a character's edge, ended by NUL.
fn copy(text: &str, to: &mut [u8]) {
    let mut size = text.len().min(to.len() - 1);
    while !text.is_char_boundary(size) {
        size -= 1;
    }
    to[..size].copy_from_slice(&text.as_bytes()[..size]);
    to[size] = 0;
}

fn terminated(bytes: &[u8]) -> String {
    let size = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..size]).into_owned()
}

/// mt_bytes
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    pub data: *const c_void,
    pub size: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Sink {
    pub ctx: *mut c_void,
    pub write: extern "C" fn(*mut c_void, *const c_void, usize, *mut RawError) -> i32,
}

#[repr(C)]
pub struct Host {
    struct_size: u32,
    major: u16,
    minor: u16,
    name: Str,
    version: Str,
    pub service: extern "C" fn(*const Host, Str) -> *const c_void,
}

#[repr(C)]
pub struct Log {
    struct_size: u32,
    reserved: u32,
    pub ctx: *mut c_void,
    pub write: extern "C" fn(*mut c_void, i32, Str, Str),
}

#[repr(C)]
pub struct Config {
    struct_size: u32,
    reserved: u32,
    pub ctx: *mut c_void,
    pub parse: extern "C" fn(*mut c_void, Str, *mut *mut c_void, *mut RawError) -> i32,
    pub close: extern "C" fn(*mut c_void, *mut c_void),
    pub integer: extern "C" fn(*mut c_void, *const c_void, Str, *mut i64, *mut RawError) -> i32,
    pub number: extern "C" fn(*mut c_void, *const c_void, Str, *mut f64, *mut RawError) -> i32,
    pub boolean: extern "C" fn(*mut c_void, *const c_void, Str, *mut bool, *mut RawError) -> i32,
    pub string: extern "C" fn(*mut c_void, *const c_void, Str, Sink, *mut RawError) -> i32,
    pub count: extern "C" fn(*mut c_void, *const c_void, Str, *mut usize, *mut RawError) -> i32,
}

/// mt_value; index 0 is "none".
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct RawValue {
    pub graph: u32,
    pub index: u32,
}

#[repr(C)]
pub struct Attr {
    pub name: Str,
    pub kind: u32,
    pub count: u32,
    pub value: AttrValue,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union AttrValue {
    pub integer: i64,
    pub number: f64,
    pub text: Str,
    pub integers: *const i64,
}

/// mt_graph_api
#[repr(C)]
pub struct GraphApi {
    struct_size: u32,
    reserved: u32,
    pub emit: extern "C" fn(
        *mut c_void, Str, *const RawValue, usize, *const Attr, usize, *mut RawValue, usize, *mut RawError,
    ) -> i32,
    describe: extern "C" fn(*mut c_void, RawValue, *mut c_void, *mut RawError) -> i32,
    pub parameter:
        extern "C" fn(*mut c_void, Str, *const i64, usize, u32, u32, *mut RawValue, *mut RawError) -> i32,
    pub constant: extern "C" fn(
        *mut c_void, u32, *const i64, usize, *const c_void, usize, *mut RawValue, *mut RawError,
    ) -> i32,
    pub linear: extern "C" fn(*mut c_void, Str, RawValue, i64, bool, u32, *mut RawValue, *mut RawError) -> i32,
    pub open_block: extern "C" fn(*mut c_void, Str, *mut RawError) -> i32,
    pub close_block: extern "C" fn(*mut c_void, *mut RawError) -> i32,
}

/// mt_component
#[repr(C)]
pub struct Component {
    struct_size: u32,
    priority: i32,
    kind: Str,
    id: Str,
    summary: Str,
    table: *const c_void,
    ctx: *mut c_void,
}

// Texts and tables are constants.
unsafe impl Sync for Component {}
unsafe impl Sync for Plugin {}

impl Component {
    pub const fn new(kind: Str, id: Str, summary: Str, table: *const c_void) -> Component {
        let struct_size = std::mem::size_of::<Component>() as u32;
        Component { struct_size, priority: 0, kind, id, summary, table, ctx: std::ptr::null_mut() }
    }

    /// Copies the component as far as the host's struct_size reaches: an older host knows fewer fields.
    ///
    /// # Safety
    /// `out` is the host's buffer, `error` its error or NULL.
    pub unsafe fn give(&self, index: usize, out: *mut Component, error: *mut RawError) -> i32 {
        if index > 0 {
            if let Some(error) = error.as_mut() {
                error.fill(&Failure::invalid("there is one component, number 0", ""));
            }
            return INVALID;
        }
        let size = ((*out).struct_size as usize).min(std::mem::size_of::<Component>());
        std::ptr::copy_nonoverlapping(self as *const Component as *const u8, out as *mut u8, size);
        OK
    }
}

/// mt_plugin
#[repr(C)]
pub struct Plugin {
    struct_size: u32,
    major: u16,
    minor: u16,
    id: Str,
    version: Str,
    ctx: *mut c_void,
    init: extern "C" fn(*mut c_void, *const Host, *mut RawError) -> i32,
    deinit: Option<extern "C" fn(*mut c_void)>,
    count: extern "C" fn(*mut c_void) -> usize,
    component: extern "C" fn(*mut c_void, usize, *mut Component, *mut RawError) -> i32,
    interface: Option<extern "C" fn(*mut c_void, Str) -> *const c_void>,
}

impl Plugin {
    pub const fn new(
        id: Str, version: Str, init: extern "C" fn(*mut c_void, *const Host, *mut RawError) -> i32,
        count: extern "C" fn(*mut c_void) -> usize,
        component: extern "C" fn(*mut c_void, usize, *mut Component, *mut RawError) -> i32,
    ) -> Plugin {
        let struct_size = std::mem::size_of::<Plugin>() as u32;
        let ctx = std::ptr::null_mut();
        Plugin { struct_size, major: 1, minor: 0, id, version, ctx, init, deinit: None, count, component, interface: None }
    }
}
