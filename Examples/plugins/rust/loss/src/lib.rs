//! SLiC's rank loss without a reference (Zhao et al. 2023, 2305.10425): the mean over pairs of
//! max(0, margin - (log p(chosen) - log p(rejected))), each log-probability a mean over its answer's tokens.

use martlet::{needs, Alignment, Document, Failure, Fallback, Graph, Metric, Objective, Value};

struct SlicHinge {
    margin: f64,
}

impl SlicHinge {
    /// How far each chosen answer is ahead of its rejected one, [pairs].
    fn ahead(&self, g: &mut Graph, batch: &Objective) -> Value {
        let mean = g.div(batch.sequence_logps, batch.sequence_lengths);
        let pairs = g.reshape(mean, &[-1, 2]);
        let (chosen, rejected) = (g.slice(pairs, 1, 0, 1), g.slice(pairs, 1, 1, 2));
        g.sub(chosen, rejected)
    }
}

impl Alignment for SlicHinge {
    fn new(settings: &Document) -> Result<Self, Failure> {
        Ok(SlicHinge { margin: settings.number("margin").or_default(1.0)? })
    }

    fn needs(&self) -> u32 {
        needs::PAIRS
    }

    fn loss(&self, g: &mut Graph, batch: &Objective) -> Value {
        let ahead = self.ahead(g, batch);
        let short = g.scale(ahead, -1.0);
        let short = g.plus(short, self.margin);
        let each = g.op("relu", &[short], &[]);
        let (sum, pairs) = (g.total(each), g.reshape(batch.normalizer, &[]));
        g.div(sum, pairs)
    }

    fn metrics(&self, g: &mut Graph, batch: &Objective) -> Vec<Metric> {
        let ahead = self.ahead(g, batch);
        let zero = g.scale(ahead, 0.0);
        let one = g.plus(zero, 1.0);
        let won = g.op("less", &[zero, ahead], &[]);
        let (sum, wins, count) = (g.total(ahead), g.total(won), g.total(one));
        vec![Metric { name: "margins", sum, count }, Metric { name: "accuracies", sum: wins, count }]
    }
}

martlet::plugin!(
    "example.slichinge", "0.1.0", "martlet.alignment/1", "slichinge",
    "A hinge on the margin of the chosen answer over the rejected one",
    martlet::abi::AlignmentTable = martlet::alignment::<SlicHinge>()
);
