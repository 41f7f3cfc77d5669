//! The tables of the kinds, field by field as in the headers under kinds/.

use super::{RawError, RawValue, Sink, Str};
use std::ffi::c_void;

/// mt_value in the tables.
pub type GraphValue = RawValue;

#[repr(C)]
pub struct LoggerTable {
    pub struct_size: u32,
    pub reserved: u32,
    pub open: extern "C" fn(*mut c_void, Str, *mut *mut c_void, *mut RawError) -> i32,
    pub event: extern "C" fn(*mut c_void, *mut c_void, Str, *mut RawError) -> i32,
    pub flush: extern "C" fn(*mut c_void, *mut c_void, *mut RawError) -> i32,
    pub close: extern "C" fn(*mut c_void, *mut c_void),
}

#[repr(C)]
pub struct RowTable {
    pub struct_size: u32,
    pub reserved: u32,
    pub judge: extern "C" fn(*mut c_void, Str, *mut f64, *mut RawError) -> i32,
}

/// mt_build
#[repr(C)]
pub struct Build {
    struct_size: u32,
    reserved: u32,
    pub graph: *mut c_void,
    pub config: Str,
    pub part: Str,
    pub ids: RawValue,
    pub positions: RawValue,
    pub segments: RawValue,
    pub embeds: RawValue,
}

#[repr(C)]
pub struct ModelTable {
    pub struct_size: u32,
    pub reserved: u32,
    pub probe: extern "C" fn(*mut c_void, Str) -> i32,
    pub describe: extern "C" fn(*mut c_void, Str, Sink, *mut RawError) -> i32,
    pub build: extern "C" fn(*mut c_void, *const Build, *mut RawValue, usize, *mut usize, *mut RawError) -> i32,
    pub rename: Option<extern "C" fn(*mut c_void, Str, Str, Sink, *mut RawError) -> i32>,
}

/// mt_site
#[repr(C)]
pub struct Site {
    struct_size: u32,
    reserved: u32,
    pub name: Str,
    pub in_width: i64,
    pub out_width: i64,
    pub x: RawValue,
    pub y: RawValue,
    pub weight: RawValue,
}

#[repr(C)]
pub struct TunerTable {
    pub struct_size: u32,
    pub reserved: u32,
    pub parameters: extern "C" fn(*mut c_void, Str, *const Site, Sink, *mut RawError) -> i32,
    pub apply: extern "C" fn(
        *mut c_void, Str, *mut c_void, *const Site, *const RawValue, usize, bool, *mut RawValue, *mut RawError,
    ) -> i32,
    pub merge: extern "C" fn(
        *mut c_void, Str, *mut c_void, *const Site, *const RawValue, usize, *mut RawValue, *mut RawError,
    ) -> i32,
    pub write_config: extern "C" fn(*mut c_void, Str, Sink, *mut RawError) -> i32,
    pub read_config: extern "C" fn(*mut c_void, Str, Sink, *mut RawError) -> i32,
    pub initial:
        Option<extern "C" fn(*mut c_void, Str, *const Site, *const f32, *const *mut f32, usize, *mut RawError) -> i32>,
}

/// mt_update
#[repr(C)]
pub struct Update {
    struct_size: u32,
    pub state_count: u32,
    pub graph: *mut c_void,
    pub settings: Str,
    pub parameter: RawValue,
    pub gradient: RawValue,
    pub learning_rate: RawValue,
    pub step: RawValue,
    pub weight_decay: RawValue,
    pub states: *const RawValue,
}

#[repr(C)]
pub struct OptimizerTable {
    pub struct_size: u32,
    pub reserved: u32,
    pub states: extern "C" fn(*mut c_void, Str, *const i64, usize, Sink, *mut RawError) -> i32,
    pub update: extern "C" fn(*mut c_void, *const Update, *mut RawValue, *mut RawValue, *mut RawError) -> i32,
}

/// mt_objective, as far as the crate reads it.
#[repr(C)]
pub struct Objective {
    struct_size: u32,
    reserved: u32,
    pub graph: *mut c_void,
    pub settings: Str,
    pub logps: RawValue,
    pub weights: RawValue,
    pub sequences: RawValue,
    pub normalizer: RawValue,
    pub sequence_logps: RawValue,
    pub sequence_lengths: RawValue,
    pub reference_logps: RawValue,
    pub reference_sequence_logps: RawValue,
    pub mismatched_logps: RawValue,
    pub mismatched_reference_logps: RawValue,
    pub labels: RawValue,
    pub rewards: RawValue,
    pub old_logps: RawValue,
    pub advantages: RawValue,
    pub values: RawValue,
    pub old_values: RawValue,
    pub returns: RawValue,
    pub entropies: RawValue,
    pub scores: RawValue,
}

/// Takes a metric's name, sum and count.
pub type AddMetric = extern "C" fn(*mut c_void, Str, RawValue, RawValue, *mut RawError) -> i32;

#[repr(C)]
pub struct AlignmentTable {
    pub struct_size: u32,
    pub reserved: u32,
    pub needs: extern "C" fn(*mut c_void, Str, *mut u32, *mut RawError) -> i32,
    pub loss: extern "C" fn(*mut c_void, *const Objective, *mut RawValue, *mut RawError) -> i32,
    pub metrics: extern "C" fn(*mut c_void, *const Objective, *mut c_void, AddMetric, *mut RawError) -> i32,
}

#[repr(C)]
pub struct QuantizerTable {
    pub struct_size: u32,
    pub reserved: u32,
    pub plan: extern "C" fn(*mut c_void, Str, Str, *const i64, usize, Sink, *mut RawError) -> i32,
    pub quantize: extern "C" fn(
        *mut c_void, Str, Str, *const f32, i64, i64, *const f32, *mut c_void, u64, *mut RawError,
    ) -> i32,
}

#[repr(C)]
pub struct DatasetTable {
    pub struct_size: u32,
    pub reserved: u32,
    pub probe: extern "C" fn(*mut c_void, Str, super::Bytes) -> i32,
    pub open: extern "C" fn(*mut c_void, Str, Str, *mut *mut c_void, *mut RawError) -> i32,
    pub next: extern "C" fn(*mut c_void, *mut c_void, Sink, *mut bool, *mut RawError) -> i32,
    pub cursor: extern "C" fn(*mut c_void, *mut c_void, Sink, *mut RawError) -> i32,
    pub seek: extern "C" fn(*mut c_void, *mut c_void, Str, *mut RawError) -> i32,
    pub count: extern "C" fn(*mut c_void, *const c_void) -> i64,
    pub close: extern "C" fn(*mut c_void, *mut c_void),
}
