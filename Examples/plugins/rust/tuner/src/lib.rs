//! LoRA (Hu et al. 2021, 2106.09685): y' = y + (alpha / r) x Aᵀ Bᵀ with A [r, in] drawn at random and B [out, r] from zeros.
//! Adapters are PEFT's.

use martlet::{text, Document, Failure, Fallback, Graph, Site, Trained, Tuner, Value};

struct LowRank {
    rank: i64,
    alpha: f64,
    base_model: Option<String>,
    /// JSON: a list of names or an expression.
    modules: String,
}

/// target_modules as JSON: a list of names, an expression, or null.
fn modules(config: &Document) -> Result<String, Failure> {
    if let Ok(expression) = config.text("target_modules") {
        return Ok(text(&expression));
    }
    match config.texts("target_modules") {
        Ok(names) => Ok(format!("[{}]", names.iter().map(|name| text(name)).collect::<Vec<_>>().join(", "))),
        Err(failure) if failure.status == martlet::abi::NOT_FOUND => Ok("null".into()),
        Err(failure) => Err(failure),
    }
}

fn optional(value: &Option<String>) -> String {
    value.as_deref().map_or("null".into(), text)
}

impl Tuner for LowRank {
    fn new(settings: &Document) -> Result<Self, Failure> {
        let tuner = LowRank {
            rank: settings.integer("rank").or_default(8)?,
            alpha: settings.number("alpha").or_default(16.0)?,
            base_model: settings.text("base_model").map(Some).or_default(None)?,
            modules: modules(settings)?,
        };
        if !(1..=65536).contains(&tuner.rank) {
            return Err(Failure::invalid(format!("found {}, wanted 1 to 65536", tuner.rank), "rank"));
        }
        Ok(tuner)
    }

    fn parameters(&self, site: &Site) -> Vec<Trained> {
        vec![
            Trained { name: "lora_A.weight", shape: vec![self.rank, site.in_width], initial: "kaiming_uniform" },
            Trained { name: "lora_B.weight", shape: vec![site.out_width, self.rank], initial: "zeros" },
        ]
    }

    fn apply(&self, g: &mut Graph, site: &Site, trained: &[Value], _training: bool) -> Value {
        let narrow = g.matmul_transposed(site.x, trained[0]);
        let wide = g.matmul_transposed(narrow, trained[1]);
        let delta = g.scale(wide, self.alpha / self.rank as f64);
        g.add(site.y, delta)
    }

    fn merge(&self, g: &mut Graph, site: &Site, trained: &[Value]) -> Option<Value> {
        let product = g.op("matmul", &[trained[1], trained[0]], &[]);
        let delta = g.scale(product, self.alpha / self.rank as f64);
        Some(g.add(site.weight, delta))
    }

    fn adapter_config(&self) -> String {
        format!(
            "{{\"peft_type\": \"LORA\", \"task_type\": \"CAUSAL_LM\", \"r\": {}, \"lora_alpha\": {:?}, \"lora_dropout\": 0.0, \
             \"bias\": \"none\", \"base_model_name_or_path\": {}, \"target_modules\": {}}}",
            self.rank, self.alpha, optional(&self.base_model), self.modules
        )
    }

    fn settings(config: &Document) -> Result<String, Failure> {
        if config.text("peft_type")? != "LORA" || config.flag("use_dora").or_default(false)? {
            return Err(Failure::unsupported("wanted a plain adapter of peft_type \"LORA\""));
        }
        let base = config.text("base_model_name_or_path").map(Some).or_default(None)?;
        Ok(format!(
            "{{\"rank\": {}, \"alpha\": {:?}, \"base_model\": {}, \"target_modules\": {}}}",
            config.integer("r")?, config.number("lora_alpha")?, optional(&base), modules(config)?
        ))
    }
}

martlet::plugin!(
    "example.lowrank", "0.1.0", "martlet.tuner/1", "lowrank", "Adds a product of two thin matrices to a linear weight",
    martlet::abi::TunerTable = martlet::tuner::<LowRank>()
);
