use crate::abi::{Build, ModelTable, RawError, RawValue, Sink, Str};
use crate::{guarded, put, Document, Failure, Graph, Value};
use std::ffi::c_void;

/// What a layer keeps of each position.
pub struct Attention {
    pub kv_heads: i64,
    pub key_width: i64,
    pub value_width: i64,
}

/// What the host needs to know of a model beyond its graph (kinds/model.h).
pub struct Description {
    pub hidden: i64,
    pub vocabulary: i64,
    pub maximum_positions: i64,
    /// The head's parameter: the embedding's when the two are tied.
    pub head: String,
    /// One entry a layer.
    pub attention: Vec<Attention>,
    /// Last names of the linear sites that tuners take by default.
    pub targets: Vec<String>,
}

/// What a build starts from: i32 ids and positions [T], segments [S + 1]; embeds f32 [T, width] in place of ids, or none.
pub struct Inputs {
    pub ids: Value,
    pub positions: Value,
    pub segments: Value,
    pub embeds: Value,
}

/// A model family: its forward pass, stated once.
pub trait ModelFamily: Sized {
    /// How well this family fits a config.json: 0 = not at all, 100 = names its architecture.
    fn probe(config: &Document) -> i32;
    fn new(config: &Document) -> Result<Self, Failure>;
    fn describe(&self) -> Description;
    /// The hidden states [T, hidden] after the final norm.
    fn build(&self, g: &mut Graph, inputs: &Inputs) -> Value;
}

impl Description {
    fn json(&self) -> String {
        let layers: Vec<String> = self
            .attention
            .iter()
            .map(|a| format!("{{\"kv_heads\": {}, \"key_width\": {}, \"value_width\": {}}}", a.kv_heads, a.key_width, a.value_width))
            .collect();
        let targets: Vec<String> = self.targets.iter().map(|name| format!("\"{name}\"")).collect();
        format!(
            "{{\"parts\": [\"decoder\"], \"layers\": {}, \"hidden\": {}, \"vocab\": {}, \"max_positions\": {}, \
             \"head\": \"{}\", \"attention\": [{}], \"default_targets\": [{}]}}",
            layers.len(), self.hidden, self.vocabulary, self.maximum_positions, self.head, layers.join(", "), targets.join(", ")
        )
    }
}

/// The table of a model family.
pub const fn model<M: ModelFamily>() -> ModelTable {
    extern "C" fn probe<M: ModelFamily>(_: *mut c_void, config: Str) -> i32 {
        let mut score = 0;
        guarded(std::ptr::null_mut(), || {
            score = M::probe(&Document::parse(config)?);
            Ok(())
        });
        score
    }
    extern "C" fn describe<M: ModelFamily>(_: *mut c_void, config: Str, out: Sink, error: *mut RawError) -> i32 {
        guarded(error, || {
            let text = M::new(&Document::parse(config)?)?.describe().json();
            put(out, &text)
        })
    }
    extern "C" fn build<M: ModelFamily>(
        _: *mut c_void, build: *const Build, outputs: *mut RawValue, capacity: usize, count: *mut usize, error: *mut RawError,
    ) -> i32 {
        guarded(error, || {
            let build = unsafe { build.as_ref() }.ok_or_else(|| Failure::invalid("the build is NULL", ""))?;
            let model = M::new(&Document::parse(build.config)?)?;
            let mut graph = Graph::new(build.graph)?;
            let inputs =
                Inputs { ids: build.ids, positions: build.positions, segments: build.segments, embeds: build.embeds };
            let hidden = model.build(&mut graph, &inputs);
            graph.finish()?;
            unsafe {
                if capacity > 0 {
                    *outputs = hidden;
                }
                *count = 1;
            }
            Ok(())
        })
    }
    ModelTable {
        struct_size: std::mem::size_of::<ModelTable>() as u32, reserved: 0, probe: probe::<M>, describe: describe::<M>,
        build: build::<M>, rename: None,
    }
}
