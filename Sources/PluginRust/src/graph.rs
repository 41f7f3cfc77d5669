use crate::abi::{Attr, AttrValue, GraphApi, RawError, RawValue, Str};
use crate::{ask, service, Failure};
use std::ffi::c_void;

/// A value of the graph; `Value::default()` is "none".
pub type Value = RawValue;

/// The graph that a model states its mathematics in. After a failure every call does nothing; `finish` reports it.
pub struct Graph {
    api: &'static GraphApi,
    handle: *mut c_void,
    failure: Option<Failure>,
}

impl Graph {
    pub(crate) fn new(handle: *mut c_void) -> Result<Graph, Failure> {
        let table = service("martlet.graph/1") as *const GraphApi;
        let api = unsafe { table.as_ref() }.ok_or_else(|| Failure::unsupported("the host has no graph service"))?;
        Ok(Graph { api, handle, failure: None })
    }

    pub(crate) fn finish(self) -> Result<(), Failure> {
        self.failure.map_or(Ok(()), Err)
    }

    fn run(&mut self, call: impl FnOnce(&GraphApi, *mut c_void, *mut RawValue, *mut RawError) -> i32) -> Value {
        let mut out = RawValue::default();
        if self.failure.is_none() {
            self.failure = ask(|error| call(self.api, self.handle, &mut out, error)).err();
        }
        out
    }

    /// Adds a node with one output; Documentation/Ops.md lists the ops.
    pub fn op(&mut self, op: &str, inputs: &[Value], attributes: &[Attr]) -> Value {
        self.run(|api, graph, out, error| {
            let (inputs, count) = (inputs.as_ptr(), inputs.len());
            (api.emit)(graph, Str::lend(op), inputs, count, attributes.as_ptr(), attributes.len(), out, 1, error)
        })
    }

    /// The parameter `name` of the checkpoint inside the open blocks.
    pub fn parameter(&mut self, name: &str, shape: &[i64]) -> Value {
        self.run(|api, graph, out, error| (api.parameter)(graph, Str::lend(name), shape.as_ptr(), shape.len(), 0, 0, out, error))
    }

    /// A constant row of f32.
    pub fn constant(&mut self, values: &[f32]) -> Value {
        let (shape, size) = ([values.len() as i64], std::mem::size_of_val(values));
        self.run(|api, graph, out, error| {
            (api.constant)(graph, 1, shape.as_ptr(), 1, values.as_ptr() as *const c_void, size, out, error)
        })
    }

    /// y = x wᵀ (+ b) over `name`.weight of [out_features, in].
    pub fn linear(&mut self, name: &str, x: Value, out_features: i64, bias: bool) -> Value {
        self.run(|api, graph, out, error| (api.linear)(graph, Str::lend(name), x, out_features, bias, 0, out, error))
    }

    /// A layer: the names inside it start with `name`.
    pub fn block(&mut self, name: &str, body: impl FnOnce(&mut Graph) -> Value) -> Value {
        self.run(|api, graph, _, error| (api.open_block)(graph, Str::lend(name), error));
        let result = body(self);
        self.run(|api, graph, _, error| (api.close_block)(graph, error));
        result
    }

    pub fn add(&mut self, x: Value, y: Value) -> Value {
        self.op("add", &[x, y], &[])
    }

    pub fn mul(&mut self, x: Value, y: Value) -> Value {
        self.op("mul", &[x, y], &[])
    }

    pub fn sub(&mut self, x: Value, y: Value) -> Value {
        self.op("sub", &[x, y], &[])
    }

    pub fn div(&mut self, x: Value, y: Value) -> Value {
        self.op("div", &[x, y], &[])
    }

    pub fn scale(&mut self, x: Value, factor: f64) -> Value {
        self.op("scale", &[x], &[number("factor", factor)])
    }

    /// x with `value` added to each element.
    pub fn plus(&mut self, x: Value, value: f64) -> Value {
        self.op("add_scalar", &[x], &[number("value", value)])
    }

    /// The sum of all elements, as a scalar.
    pub fn total(&mut self, x: Value) -> Value {
        self.op("sum", &[x], &[integers("axes", &[]), flag("keep_dimensions", false)])
    }

    /// a bᵀ over the last two axes.
    pub fn matmul_transposed(&mut self, a: Value, b: Value) -> Value {
        self.op("matmul", &[a, b], &[flag("transpose_b", true)])
    }

    /// Elements `start` to before `end` of an axis.
    pub fn slice(&mut self, x: Value, axis: i64, start: i64, end: i64) -> Value {
        self.op("slice", &[x], &[integer("axis", axis), integer("start", start), integer("end", end)])
    }

    pub fn reshape(&mut self, x: Value, shape: &[i64]) -> Value {
        self.op("reshape", &[x], &[integers("shape", shape)])
    }

    /// x / rms(x) · w over the last axis (Zhang & Sennrich 2019).
    pub fn rms_norm(&mut self, name: &str, x: Value, width: i64, eps: f64) -> Value {
        let weight = self.parameter(&format!("{name}.weight"), &[width]);
        self.op("rms_norm", &[x, weight], &[number("eps", eps)])
    }

    /// Causal attention of q [T, H, D] over k and v [T, kv heads, D], as [T, H · D].
    pub fn attention(&mut self, layer: i64, q: Value, k: Value, v: Value, segments: Value, heads: i64, width: i64) -> Value {
        let scale = 1.0 / (width as f64).sqrt();
        let attributes = [integer("layer", layer), number("scale", scale), flag("causal", true)];
        let out = self.op("attention", &[q, k, v, segments, segments, Value::default()], &attributes);
        self.reshape(out, &[-1, heads * width])
    }
}

pub fn integer(name: &str, value: i64) -> Attr {
    Attr { name: Str::lend(name), kind: 1, count: 1, value: AttrValue { integer: value } }
}

pub fn number(name: &str, value: f64) -> Attr {
    Attr { name: Str::lend(name), kind: 2, count: 1, value: AttrValue { number: value } }
}

pub fn flag(name: &str, value: bool) -> Attr {
    Attr { name: Str::lend(name), kind: 3, count: 1, value: AttrValue { integer: value as i64 } }
}

/// The numbers are borrowed until the node is added.
pub fn integers(name: &str, values: &[i64]) -> Attr {
    Attr { name: Str::lend(name), kind: 5, count: values.len() as u32, value: AttrValue { integers: values.as_ptr() } }
}
