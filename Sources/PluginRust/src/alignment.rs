use crate::abi::{AddMetric, AlignmentTable, GraphValue, Objective as RawObjective, RawError, Str};
use crate::{ask, guarded, Document, Failure, Graph, Value};
use std::ffi::c_void;

/// What an objective needs of a batch; sums of these.
pub mod needs {
    /// Sequences come as chosen, rejected, chosen, rejected …
    pub const PAIRS: u32 = 1;
    /// A label a sequence.
    pub const LABELS: u32 = 2;
    /// Log-probabilities under the reference model.
    pub const REFERENCE: u32 = 4;
    /// A scalar head's output a sequence.
    pub const SCORES: u32 = 256;
}

/// A batch as values of the graph: T tokens, S sequences; what was not asked for by `needs` is none.
pub struct Objective {
    /// [T]: log-probability of each token's label.
    pub logps: Value,
    /// [T]: loss weight of each label; 0 = not trained.
    pub weights: Value,
    /// [1]: what a mean over the whole window divides by.
    pub normalizer: Value,
    /// [S]: sums of logps over trained tokens, and numbers of those tokens.
    pub sequence_logps: Value,
    pub sequence_lengths: Value,
    /// [S], under the reference model.
    pub reference_sequence_logps: Value,
    /// [S]: 1 desirable, 0 not.
    pub labels: Value,
    /// [S]
    pub scores: Value,
}

/// A named sum over the batch, and what to divide it by.
pub struct Metric {
    pub name: &'static str,
    pub sum: Value,
    pub count: Value,
}

/// A training objective over log-probabilities of labels (kinds/alignment.h).
pub trait Alignment: Sized {
    /// From the objective's JSON.
    fn new(settings: &Document) -> Result<Self, Failure>;
    /// A sum of `needs`.
    fn needs(&self) -> u32;
    /// The scalar loss: this batch's share of the window's.
    fn loss(&self, g: &mut Graph, batch: &Objective) -> Value;
    fn metrics(&self, _g: &mut Graph, _batch: &Objective) -> Vec<Metric> {
        Vec::new()
    }
}

impl Objective {
    unsafe fn from(raw: *const RawObjective) -> Result<(Objective, *mut c_void, Str), Failure> {
        let raw = raw.as_ref().ok_or_else(|| Failure::invalid("the objective is NULL", ""))?;
        let batch = Objective {
            logps: raw.logps, weights: raw.weights, normalizer: raw.normalizer, sequence_logps: raw.sequence_logps,
            sequence_lengths: raw.sequence_lengths, reference_sequence_logps: raw.reference_sequence_logps,
            labels: raw.labels, scores: raw.scores,
        };
        Ok((batch, raw.graph, raw.settings))
    }
}

/// The table of an objective.
pub const fn alignment<A: Alignment>() -> AlignmentTable {
    extern "C" fn needs<A: Alignment>(_: *mut c_void, settings: Str, out: *mut u32, error: *mut RawError) -> i32 {
        guarded(error, || {
            unsafe { *out = A::new(&Document::settings(settings)?)?.needs() };
            Ok(())
        })
    }
    extern "C" fn loss<A: Alignment>(
        _: *mut c_void, objective: *const RawObjective, out: *mut GraphValue, error: *mut RawError,
    ) -> i32 {
        guarded(error, || {
            let (batch, graph, settings) = unsafe { Objective::from(objective) }?;
            let mut g = Graph::new(graph)?;
            let loss = A::new(&Document::settings(settings)?)?.loss(&mut g, &batch);
            g.finish()?;
            unsafe { *out = loss };
            Ok(())
        })
    }
    extern "C" fn metrics<A: Alignment>(
        _: *mut c_void, objective: *const RawObjective, receiver: *mut c_void, add: AddMetric, error: *mut RawError,
    ) -> i32 {
        guarded(error, || {
            let (batch, graph, settings) = unsafe { Objective::from(objective) }?;
            let mut g = Graph::new(graph)?;
            let metrics = A::new(&Document::settings(settings)?)?.metrics(&mut g, &batch);
            g.finish()?;
            for metric in metrics {
                ask(|error| add(receiver, Str::lend(metric.name), metric.sum, metric.count, error))?;
            }
            Ok(())
        })
    }
    AlignmentTable {
        struct_size: std::mem::size_of::<AlignmentTable>() as u32, reserved: 0, needs: needs::<A>, loss: loss::<A>,
        metrics: metrics::<A>,
    }
}
