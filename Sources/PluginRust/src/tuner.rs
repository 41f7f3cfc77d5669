use crate::abi::{GraphValue, RawError, Sink, Site as RawSite, Str, TunerTable};
use crate::{guarded, put, text, Document, Failure, Graph, Value};
use std::ffi::c_void;

/// A linear site: y = x weightᵀ (+ bias), by its name in the checkpoint.
pub struct Site {
    pub name: String,
    pub in_width: i64,
    pub out_width: i64,
    /// [T, in] and [T, out]; none where only shapes are asked for.
    pub x: Value,
    pub y: Value,
    /// [out, in], the frozen weight.
    pub weight: Value,
}

/// A tensor that is trained at a site.
pub struct Trained {
    /// As PEFT names it behind the site, such as "lora_A.weight".
    pub name: &'static str,
    pub shape: Vec<i64>,
    /// "zeros", "ones", "kaiming_uniform", "normal:STD" or "weight_norm": the lengths of the frozen weight's rows.
    pub initial: &'static str,
}

/// What is added to a linear site when it is trained (kinds/tuner.h).
pub trait Tuner: Sized {
    /// From the tuner's JSON: what --tuner_args and the flags of `train` say.
    fn new(settings: &Document) -> Result<Self, Failure>;
    fn parameters(&self, site: &Site) -> Vec<Trained>;
    /// y' from the site and its trained tensors, in the order of `parameters`.
    fn apply(&self, g: &mut Graph, site: &Site, trained: &[Value], training: bool) -> Value;
    /// The merged weight [out, in]; None when this tuner cannot be merged.
    fn merge(&self, g: &mut Graph, site: &Site, trained: &[Value]) -> Option<Value>;
    /// PEFT's adapter_config.json.
    fn adapter_config(&self) -> String;
    /// The JSON of `new` from an adapter_config.json.
    fn settings(adapter_config: &Document) -> Result<String, Failure>;
}

impl Site {
    unsafe fn from(raw: *const RawSite) -> Result<Site, Failure> {
        let raw = raw.as_ref().ok_or_else(|| Failure::invalid("the site is NULL", ""))?;
        let (name, in_width, out_width) = (raw.name.text(), raw.in_width, raw.out_width);
        Ok(Site { name, in_width, out_width, x: raw.x, y: raw.y, weight: raw.weight })
    }
}

/// The table of a tuner.
pub const fn tuner<T: Tuner>() -> TunerTable {
    extern "C" fn parameters<T: Tuner>(_: *mut c_void, settings: Str, site: *const RawSite, out: Sink, error: *mut RawError) -> i32 {
        guarded(error, || {
            let tensors = T::new(&Document::settings(settings)?)?.parameters(&unsafe { Site::from(site) }?);
            let list: Vec<String> = tensors
                .iter()
                .map(|t| format!("{{\"name\": {}, \"shape\": {:?}, \"init\": {}}}", text(t.name), t.shape, text(t.initial)))
                .collect();
            put(out, &format!("[{}]", list.join(", ")))
        })
    }
    extern "C" fn apply<T: Tuner>(
        _: *mut c_void, settings: Str, graph: *mut c_void, site: *const RawSite, trained: *const GraphValue, count: usize,
        training: bool, out: *mut GraphValue, error: *mut RawError,
    ) -> i32 {
        guarded(error, || {
            let mut g = Graph::new(graph)?;
            let (site, trained) = unsafe { (Site::from(site)?, crate::list(trained, count)) };
            let result = T::new(&Document::settings(settings)?)?.apply(&mut g, &site, trained, training);
            g.finish()?;
            unsafe { *out = result };
            Ok(())
        })
    }
    extern "C" fn merge<T: Tuner>(
        _: *mut c_void, settings: Str, graph: *mut c_void, site: *const RawSite, trained: *const GraphValue, count: usize,
        out: *mut GraphValue, error: *mut RawError,
    ) -> i32 {
        guarded(error, || {
            let mut g = Graph::new(graph)?;
            let (site, trained) = unsafe { (Site::from(site)?, crate::list(trained, count)) };
            let merged = T::new(&Document::settings(settings)?)?.merge(&mut g, &site, trained);
            g.finish()?;
            let merged = merged.ok_or_else(|| Failure::unsupported("this tuner cannot be merged into its weights"))?;
            unsafe { *out = merged };
            Ok(())
        })
    }
    extern "C" fn write_config<T: Tuner>(_: *mut c_void, settings: Str, out: Sink, error: *mut RawError) -> i32 {
        guarded(error, || put(out, &T::new(&Document::settings(settings)?)?.adapter_config()))
    }
    extern "C" fn read_config<T: Tuner>(_: *mut c_void, config: Str, out: Sink, error: *mut RawError) -> i32 {
        guarded(error, || put(out, &T::settings(&Document::parse(config)?)?))
    }
    TunerTable {
        struct_size: std::mem::size_of::<TunerTable>() as u32, reserved: 0, parameters: parameters::<T>, apply: apply::<T>,
        merge: merge::<T>, write_config: write_config::<T>, read_config: read_config::<T>, initial: None,
    }
}
