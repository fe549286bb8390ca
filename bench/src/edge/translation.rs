//! A document of 10 KB, from the bytes of another system to the bytes of ours, by a translator of the file's kind.
//!
//! All of it but the network: a [`Foreign`] of our own has the answer at hand, and behind it is what every answer goes
//! through: bulkhead and circuit, the reader, the table, the comparison with what is usual, the writer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use dozen_anticorruption::{Foreign, ForeignAnswer, ForeignError, ForeignRequest, Translator, Translators};
use dozen_core::{Ids, SystemClock};
use dozen_mapping::{Value, json as exact};
use serde_json::json;

use super::documents;
use crate::bar::{Figure, Measured, Target, median};
use crate::{Context, Failure};

/// Translations of one sample, of which the middle one counts.
const EACH: usize = 2_000;
/// What is translated, what paths in it begin with, and how many microseconds that may take.
const FORMATS: [(&str, f64); 2] = [("json", 50.0), ("xml", 150.0)];

pub(super) fn measure(context: &Context) -> Result<Measured, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut figures = Vec::new();
    for (format, target) in FORMATS {
        let name = format!("edge.translation.{format}");
        if !context.is_wanted(&name) {
            continue;
        }
        let document = if format == "xml" { documents::xml() } else { documents::old() };
        let bytes = document.len();
        let translators = translators(format, document.into())?;
        let translator = translators.get("order").ok_or("the translator is missing")?;
        let mut times = Vec::new();
        for round in 0..=context.rounds {
            let time = runtime.block_on(sample(translator))?;
            // The first is a warm-up.
            if round > 0 {
                times.push(time);
            }
        }
        figures.push(Figure {
            name,
            measured: median(times),
            unit: "µs".into(),
            target: Target::AtMost(target),
            note: format!(
                "{bytes} bytes to ours by a translator, writing included and the network not; median of {EACH}"
            ),
        });
    }
    Ok(Measured::of(figures))
}

async fn sample(translator: &Translator) -> Result<f64, Failure> {
    let mut times = Vec::with_capacity(EACH);
    for _ in 0..EACH {
        let start = Instant::now();
        let result = translator.call(Value::Null).await.map_err(|problem| problem.to_string())?;
        let text = exact::write(&result);
        drop(result);
        times.push(start.elapsed().as_secs_f64() * 1e6);
        if !text.contains("SKU-00074") {
            return Err(format!("that is no translation: {text}").into());
        }
    }
    Ok(median(times))
}

/// The other system, whose answer is always the same.
struct Always(Bytes);

#[async_trait]
impl Foreign for Always {
    async fn ask(&self, _: ForeignRequest) -> Result<ForeignAnswer, ForeignError> {
        Ok(ForeignAnswer::new(self.0.clone()))
    }
}

fn translators(format: &str, document: Bytes) -> Result<Translators, Failure> {
    let (id, items, sku) = match format {
        "xml" => ("order/@id!", "order.item", "'@sku'!"),
        _ => ("order.id!", "order.items", "sku!"),
    };
    let table = json!({
        "order": id,
        "customer": {
            "from": "order.customer", "required": true, "map": { "name": "name!", "city": "address.city!" },
        },
        "lines": { "each": items, "map": {
            "sku": sku,
            "title": "title!",
            "quantity": { "from": "quantity", "as": "integer", "required": true },
            "price": { "from": "price", "as": "decimal(2)", "required": true },
            "state": { "from": "state", "enum": { "A": "active", "B": "blocked", "_": "error" }, "required": true },
            "day": { "from": "day", "as": "date(\"dd.MM.yyyy\")", "required": true },
        } },
    });
    let ask = json!({
        "provider": "erp", "request": { "path": "/orders/7" }, "answer": { "format": format, "map": table },
    });
    let options = json!({
        "providers": { "erp": {} },
        "translators": { "order": { "calls": { "order": { "ask": [ask] } } } },
    });
    let ids = Ids::new(Arc::new(SystemClock), u64::from(std::process::id()));
    let options = serde_json::from_value(options)?;
    Ok(Translators::compile(&options, &BTreeMap::new(), Arc::new(Always(document)), ids)?)
}
