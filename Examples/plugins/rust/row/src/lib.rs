//! A metric: the share of the reference's words that the answer holds (recall of ROUGE-1, Lin 2004).

use martlet::{Document, Failure, RowFunction};
use std::collections::HashMap;

struct Overlap;

fn words(text: &str) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word.to_lowercase()).or_insert(0) += 1;
    }
    counts
}

impl RowFunction for Overlap {
    fn judge(row: &Document) -> Result<f64, Failure> {
        let (answer, reference) = (words(&row.text("completion")?), words(&row.text("reference")?));
        let total: usize = reference.values().sum();
        if total == 0 {
            return Err(Failure::invalid("the reference has no words", "reference"));
        }
        let found: usize = reference.iter().map(|(word, count)| count.min(answer.get(word).unwrap_or(&0))).sum();
        Ok(found as f64 / total as f64)
    }
}

martlet::plugin!(
    "example.overlap", "0.1.0", "martlet.metric/1", "overlap", "Share of the reference's words that the answer holds",
    martlet::abi::RowTable = martlet::row::<Overlap>()
);
