use crate::abi::{GraphValue, OptimizerTable, RawError, Sink, Str, Update as RawUpdate};
use crate::{guarded, put, text, Document, Failure, Graph, Value};
use std::ffi::c_void;

/// What an optimizer keeps of each parameter, in f32.
pub struct State {
    pub name: &'static str,
    pub shape: Vec<i64>,
    pub initial: f64,
}

/// What an update reads; learning rate, step and weight decay are [1], the step is 1 in the first one.
pub struct Update {
    pub parameter: Value,
    /// Of the parameter's shape, already clipped.
    pub gradient: Value,
    pub learning_rate: Value,
    pub step: Value,
    /// 0 for parameters that are not decayed.
    pub weight_decay: Value,
    /// In the order of `states`.
    pub states: Vec<Value>,
}

/// A parameter's update, as a graph (kinds/optimizer.h).
pub trait Optimizer: Sized {
    /// From the optimizer's JSON: what --optim_args and the flags of `train` say.
    fn new(settings: &Document) -> Result<Self, Failure>;
    /// The states of a parameter of `shape`.
    fn states(&self, shape: &[i64]) -> Vec<State>;
    /// The new parameter, and the new states in the same order.
    fn update(&self, g: &mut Graph, u: &Update) -> (Value, Vec<Value>);
}

/// The table of an optimizer.
pub const fn optimizer<O: Optimizer>() -> OptimizerTable {
    extern "C" fn states<O: Optimizer>(
        _: *mut c_void, settings: Str, shape: *const i64, rank: usize, out: Sink, error: *mut RawError,
    ) -> i32 {
        guarded(error, || {
            let states = O::new(&Document::settings(settings)?)?.states(unsafe { crate::list(shape, rank) });
            let list: Vec<String> = states
                .iter()
                .map(|s| format!("{{\"name\": {}, \"shape\": {:?}, \"init\": {:?}}}", text(s.name), s.shape, s.initial))
                .collect();
            put(out, &format!("[{}]", list.join(", ")))
        })
    }
    extern "C" fn update<O: Optimizer>(
        _: *mut c_void, update: *const RawUpdate, parameter: *mut GraphValue, states: *mut GraphValue, error: *mut RawError,
    ) -> i32 {
        guarded(error, || {
            let raw = unsafe { update.as_ref() }.ok_or_else(|| Failure::invalid("the update is NULL", ""))?;
            let mut g = Graph::new(raw.graph)?;
            let given = unsafe { crate::list(raw.states, raw.state_count as usize) }.to_vec();
            let inputs = Update {
                parameter: raw.parameter, gradient: raw.gradient, learning_rate: raw.learning_rate, step: raw.step,
                weight_decay: raw.weight_decay, states: given,
            };
            let (moved, next) = O::new(&Document::settings(raw.settings)?)?.update(&mut g, &inputs);
            g.finish()?;
            if next.len() != inputs.states.len() {
                return Err(Failure::invalid(format!("gave {} states of {}", next.len(), inputs.states.len()), "states"));
            }
            unsafe {
                *parameter = moved;
                for (i, state) in next.iter().enumerate() {
                    *states.add(i) = *state;
                }
            }
            Ok(())
        })
    }
    OptimizerTable {
        struct_size: std::mem::size_of::<OptimizerTable>() as u32, reserved: 0, states: states::<O>, update: update::<O>,
    }
}
