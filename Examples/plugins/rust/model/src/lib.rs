//! A decoder with root mean square norms, rotary positions and a gated feed-forward. Parameters have the names of the
//! published checkpoint: tuners, quantizers and adapters find them by these.

use martlet::{Attention, Description, Document, Failure, Fallback, Graph, Inputs, ModelFamily, Value};

struct PicoLM {
    layers: i64,
    hidden: i64,
    inner: i64,
    heads: i64,
    kv_heads: i64,
    vocabulary: i64,
    positions: i64,
    eps: f64,
    theta: f64,
    tied: bool,
}

impl PicoLM {
    /// A projection cut into heads: [T, hidden] to [T, count, width].
    fn heads(&self, g: &mut Graph, name: &str, x: Value, count: i64) -> Value {
        let width = self.hidden / self.heads;
        let y = g.linear(name, x, count * width, false);
        g.reshape(y, &[-1, count, width])
    }

    fn attention(&self, g: &mut Graph, h: Value, layer: i64, inputs: &Inputs, frequencies: Value) -> Value {
        let q = self.heads(g, "self_attn.q_proj", h, self.heads);
        let k = self.heads(g, "self_attn.k_proj", h, self.kv_heads);
        let v = self.heads(g, "self_attn.v_proj", h, self.kv_heads);
        let q = g.op("rope", &[q, inputs.positions, frequencies], &[]);
        let k = g.op("rope", &[k, inputs.positions, frequencies], &[]);
        let a = g.attention(layer, q, k, v, inputs.segments, self.heads, self.hidden / self.heads);
        g.linear("self_attn.o_proj", a, self.hidden, false)
    }

    fn feed_forward(&self, g: &mut Graph, m: Value) -> Value {
        let gate = g.linear("mlp.gate_proj", m, self.inner, false);
        let gate = g.op("silu", &[gate], &[]);
        let up = g.linear("mlp.up_proj", m, self.inner, false);
        let inner = g.mul(gate, up);
        g.linear("mlp.down_proj", inner, self.hidden, false)
    }
}

impl ModelFamily for PicoLM {
    fn probe(config: &Document) -> i32 {
        match config.text("architectures[0]") {
            Ok(name) if name == "PicoLMForCausalLM" => 100,
            _ => 0,
        }
    }

    fn new(config: &Document) -> Result<Self, Failure> {
        let heads = config.integer("num_attention_heads")?;
        let model = PicoLM {
            layers: config.integer("num_hidden_layers")?,
            hidden: config.integer("hidden_size")?,
            inner: config.integer("intermediate_size")?,
            heads,
            kv_heads: config.integer("num_key_value_heads").or_default(heads)?,
            vocabulary: config.integer("vocab_size")?,
            positions: config.integer("max_position_embeddings").or_default(2048)?,
            eps: config.number("rms_norm_eps").or_default(1e-6)?,
            theta: config.number("rope_theta").or_default(10000.0)?,
            tied: config.flag("tie_word_embeddings").or_default(false)?,
        };
        let sizes = [model.layers, model.hidden, model.inner, heads, model.kv_heads, model.vocabulary];
        if sizes.iter().any(|size| !(1..1 << 24).contains(size)) || model.hidden % (2 * heads) != 0 || heads % model.kv_heads != 0 {
            return Err(Failure::invalid("the sizes do not fit each other", "config.json"));
        }
        Ok(model)
    }

    fn describe(&self) -> Description {
        let width = self.hidden / self.heads;
        let targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        Description {
            hidden: self.hidden,
            vocabulary: self.vocabulary,
            maximum_positions: self.positions,
            head: if self.tied { "model.embed_tokens.weight" } else { "lm_head.weight" }.into(),
            attention: (0..self.layers)
                .map(|_| Attention { kv_heads: self.kv_heads, key_width: width, value_width: width })
                .collect(),
            targets: targets.iter().map(|name| name.to_string()).collect(),
        }
    }

    fn build(&self, g: &mut Graph, inputs: &Inputs) -> Value {
        let width = (self.hidden / self.heads) as f64;
        let frequencies: Vec<f32> = (0..width as i64 / 2).map(|i| self.theta.powf(-2.0 * i as f64 / width) as f32).collect();
        let frequencies = g.constant(&frequencies);
        let mut x = inputs.embeds;
        if x.index == 0 {
            let table = g.parameter("model.embed_tokens.weight", &[self.vocabulary, self.hidden]);
            x = g.op("embedding", &[table, inputs.ids], &[]);
        }
        for i in 0..self.layers {
            x = g.block(&format!("model.layers.{i}"), |g| {
                let h = g.rms_norm("input_layernorm", x, self.hidden, self.eps);
                let a = self.attention(g, h, i, inputs, frequencies);
                let y = g.add(x, a);
                let m = g.rms_norm("post_attention_layernorm", y, self.hidden, self.eps);
                let f = self.feed_forward(g, m);
                g.add(y, f)
            });
        }
        g.rms_norm("model.norm", x, self.hidden, self.eps)
    }
}

martlet::plugin!(
    "example.picolm", "0.1.0", "martlet.model/1", "picolm", "A small decoder",
    martlet::abi::ModelTable = martlet::model::<PicoLM>()
);
