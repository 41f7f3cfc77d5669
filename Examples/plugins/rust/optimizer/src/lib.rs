//! AdaMax (Kingma & Ba 2014, 1412.6980, algorithm 2): m' = b1 m + (1 - b1) g, u' = max(b2 u, |g|),
//! p' = p - rate / (1 - b1^step) m' / (u' + eps). Decay is decoupled.

use martlet::{Document, Failure, Fallback, Graph, Optimizer, State, Update, Value};

struct InfNorm {
    beta1: f64,
    beta2: f64,
    eps: f64,
}

impl Optimizer for InfNorm {
    fn new(settings: &Document) -> Result<Self, Failure> {
        let optimizer = InfNorm {
            beta1: settings.number("beta1").or_default(0.9)?,
            beta2: settings.number("beta2").or_default(0.999)?,
            eps: settings.number("eps").or_default(1e-8)?,
        };
        for (name, value) in [("beta1", optimizer.beta1), ("beta2", optimizer.beta2)] {
            if !(0.0..1.0).contains(&value) {
                return Err(Failure::invalid(format!("found {value}, wanted 0 to below 1"), name));
            }
        }
        Ok(optimizer)
    }

    fn states(&self, shape: &[i64]) -> Vec<State> {
        ["exp_avg", "exp_inf"].map(|name| State { name, shape: shape.to_vec(), initial: 0.0 }).into()
    }

    fn update(&self, g: &mut Graph, u: &Update) -> (Value, Vec<Value>) {
        let (kept, new) = (g.scale(u.states[0], self.beta1), g.scale(u.gradient, 1.0 - self.beta1));
        let mean = g.add(kept, new);
        let (kept, new) = (g.scale(u.states[1], self.beta2), g.op("abs", &[u.gradient], &[]));
        let norm = g.op("max", &[kept, new], &[]);
        // 1 - b1^step as 1 - e^(step log b1).
        let power = g.scale(u.step, self.beta1.max(f64::MIN_POSITIVE).ln());
        let power = g.op("exp", &[power], &[]);
        let gone = g.scale(power, -1.0);
        let share = g.plus(gone, 1.0);
        let rate = g.div(u.learning_rate, share);
        let size = g.plus(norm, self.eps);
        let direction = g.div(mean, size);
        let step = g.mul(direction, rate);
        let decay = g.mul(u.weight_decay, u.learning_rate);
        let decay = g.mul(u.parameter, decay);
        let moved = g.sub(u.parameter, step);
        (g.sub(moved, decay), vec![mean, norm])
    }
}

martlet::plugin!(
    "example.infnorm", "0.1.0", "martlet.optimizer/1", "infnorm", "Adam over the infinity norm",
    martlet::abi::OptimizerTable = martlet::optimizer::<InfNorm>()
);
