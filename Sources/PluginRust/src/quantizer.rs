use crate::abi::{QuantizerTable, RawError, Sink, Str};
use crate::{guarded, put, text, Document, Failure};
use std::ffi::c_void;

/// What becomes of a weight.
pub struct Plan {
    /// How the device reads it, such as "q8_0".
    pub layout: &'static str,
    pub bytes: usize,
    /// Bound of the mean squared error over the mean square of the weight.
    pub maximum_relative_error: f64,
}

/// Weights to a block layout (kinds/quantizer.h). Called by several threads at once.
pub trait Quantizer: Sized {
    fn new(settings: &Document) -> Result<Self, Failure>;
    /// None leaves the weight `name` of `shape` as it is.
    fn plan(&self, name: &str, shape: &[i64]) -> Option<Plan>;
    /// Fills the planned bytes from f32 weights, row by row.
    fn quantize(&self, name: &str, weight: &[f32], columns: usize, out: &mut [u8]) -> Result<(), Failure>;
}

/// The table of a quantizer.
pub const fn quantizer<Q: Quantizer>() -> QuantizerTable {
    extern "C" fn plan<Q: Quantizer>(
        _: *mut c_void, settings: Str, name: Str, shape: *const i64, rank: usize, out: Sink, error: *mut RawError,
    ) -> i32 {
        guarded(error, || {
            let quantizer = Q::new(&Document::settings(settings)?)?;
            let answer = match quantizer.plan(&name.text(), unsafe { crate::list(shape, rank) }) {
                None => "{\"layout\": null}".into(),
                Some(plan) => format!(
                    "{{\"layout\": {}, \"bytes\": {}, \"statistics\": \"none\", \"max_relative_error\": {:?}}}",
                    text(plan.layout), plan.bytes, plan.maximum_relative_error
                ),
            };
            put(out, &answer)
        })
    }
    extern "C" fn quantize<Q: Quantizer>(
        _: *mut c_void, settings: Str, name: Str, weight: *const f32, rows: i64, columns: i64, _: *const f32, out: *mut c_void,
        size: u64, error: *mut RawError,
    ) -> i32 {
        guarded(error, || {
            let quantizer = Q::new(&Document::settings(settings)?)?;
            let name = name.text();
            let planned = quantizer.plan(&name, &[rows, columns]).map(|plan| plan.bytes);
            if rows < 0 || columns < 0 || planned != Some(size as usize) || out.is_null() {
                return Err(Failure::invalid("this is not the weight that was planned", name));
            }
            let weight = unsafe { crate::list(weight, rows as usize * columns as usize) };
            let out = unsafe { std::slice::from_raw_parts_mut(out as *mut u8, size as usize) };
            quantizer.quantize(&name, weight, columns as usize, out)
        })
    }
    QuantizerTable {
        struct_size: std::mem::size_of::<QuantizerTable>() as u32, reserved: 0, plan: plan::<Q>, quantize: quantize::<Q>,
    }
}
