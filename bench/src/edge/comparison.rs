//! Two answers of 10 KB that say the same in other words.

use std::time::Instant;

use bytes::Bytes;
use dozen_strangler::CompareOptions;
use dozen_strangler::compare::{Answer, Comparator, Compared};

use super::documents;
use crate::bar::{Figure, Measured, Target, median};
use crate::{Context, Failure};

/// Comparisons of one sample, of which the middle one counts.
const EACH: usize = 2_000;
/// Microseconds.
const TARGET: f64 = 100.0;

/// As a file would have it: a moment that does not matter, and lines whose order does not.
fn rules() -> CompareOptions {
    CompareOptions {
        ignore: vec!["$.madeAt".into()],
        unordered: vec!["$.order.items by sku".into()],
        ..CompareOptions::default()
    }
}

pub(super) fn measure(context: &Context) -> Result<Measured, Failure> {
    let comparator = Comparator::new("orders", &rules())?;
    let (old, new) = (answer(documents::old())?, answer(documents::new())?);
    let sample = || -> Result<f64, Failure> {
        let mut times = Vec::with_capacity(EACH);
        for _ in 0..EACH {
            let start = Instant::now();
            let compared = comparator.compare(&old, &new);
            times.push(start.elapsed().as_secs_f64() * 1e6);
            if compared != Compared::Same {
                return Err(format!("they say the same, and were found to be {compared:?}").into());
            }
        }
        Ok(median(times))
    };
    sample()?;
    let times: Vec<f64> = (0..context.rounds).map(|_| sample()).collect::<Result<_, _>>()?;
    Ok(Measured::of(vec![Figure {
        name: "edge.comparison.time".into(),
        measured: median(times),
        unit: "µs".into(),
        target: Target::AtMost(TARGET),
        note: format!(
            "JSON of {} and {} bytes, members and 75 lines in another order; median of {EACH}",
            old.body().len(),
            new.body().len()
        ),
    }]))
}

fn answer(document: String) -> Result<Answer, Failure> {
    Ok(http::Response::builder().header("content-type", "application/json").body(Bytes::from(document))?)
}
