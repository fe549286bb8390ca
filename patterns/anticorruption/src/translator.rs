//! One operation of ours, ready to be called.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_mapping::{Format, Mapping, Value};
use futures::FutureExt as _;
use tokio::time::{Instant, timeout_at};

use crate::ask::Ask;
use crate::cache::{self, Cache, Found};
use crate::compile::Part;
use crate::drift::DriftReport;
use crate::example::Example;
use crate::options::TranslatorOptions;
use crate::problem::Problem;
use crate::provider::Providers;
use crate::run::{Run, Source};
use crate::tally::{Tally, Totals};

/// An operation in our words, whoever answers it. What the domain knows of other systems is this.
#[async_trait]
pub trait Translate: Send + Sync + 'static {
    /// Calls it: a result in our model, or a problem in our words.
    async fn call(&self, input: Value) -> Result<Value, Problem>;
}

/// A compiled operation. Cloning it copies nothing; clones share cache and counters.
#[derive(Clone)]
pub struct Translator(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) part: Part,
    pub(crate) providers: Arc<Providers>,
    pub(crate) examples: Vec<Example>,
    pub(crate) cache: Option<Arc<Cache>>,
    pub(crate) tally: Tally,
}

/// One question, and the ways to ask it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: Arc<str>,
    pub(crate) with: Option<Mapping>,
    pub(crate) ways: Vec<Ask>,
    /// The calls that have to be made before.
    pub(crate) needs: Vec<usize>,
    pub(crate) optional: bool,
}

impl fmt::Debug for Translator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Translator").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl Translator {
    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.0.part.name
    }

    /// What it was made of.
    pub fn options(&self) -> &TranslatorOptions {
        &self.0.part.options
    }

    /// Its examples, in order.
    pub fn examples(&self) -> &[Example] {
        &self.0.examples
    }

    /// The format of inputs, where they come as bytes.
    pub fn input_format(&self) -> &Format {
        &self.0.part.input_format
    }

    /// The format of results, where they go as bytes.
    pub fn output_format(&self) -> &Format {
        &self.0.part.output_format
    }

    /// Calls it within its own time-out. Dropping the future ends what was asked, unless somebody else waits for the same.
    pub async fn call(&self, input: Value) -> Result<Value, Problem> {
        self.call_within(input, self.0.part.options.timeout).await
    }

    /// Calls it within the shorter of `limit` and its own time-out.
    pub async fn call_within(&self, input: Value, limit: Duration) -> Result<Value, Problem> {
        let started = Instant::now();
        let until = started + limit.min(self.0.part.options.timeout);
        let answered = match self.0.check_input(&input) {
            Ok(()) => timeout_at(until, self.answer(input))
                .await
                .unwrap_or_else(|_| Err(Problem::late("the time for the whole operation is over"))),
            Err(problem) => Err(problem),
        };
        let cause = answered.as_ref().err().map(|problem| problem.cause);
        self.0.tally.ended(cause, started.elapsed());
        if let Err(problem) = &answered {
            tracing::debug!(translator = &**self.name(), %problem, "an operation had no result");
        }
        answered
    }

    async fn answer(&self, input: Value) -> Result<Value, Problem> {
        let (cache, key) = match &self.0.cache {
            Some(cache) => (cache, cache::key(&input)),
            None => return self.run(input).await,
        };
        let Some(key) = key else { return self.run(input).await };
        let mut asked = false;
        let own = self.clone();
        let found = cache.find(key, || {
            asked = true;
            async move { own.run(input).await }.boxed()
        });
        if !asked {
            self.0.tally.cached();
        }
        match found {
            Found::Kept(value) => Ok(value),
            Found::Flying(flight) => flight.await,
        }
    }

    async fn run(&self, input: Value) -> Result<Value, Problem> {
        let until = Instant::now() + self.0.part.options.timeout;
        Run { inner: &self.0, source: Source::Live, until }.whole(input).await
    }

    /// What it has counted since the start of the process.
    pub fn totals(&self) -> Totals {
        self.0.tally.read()
    }

    /// How live answers differ from the examples, for each way of asking.
    pub fn drift(&self) -> Vec<DriftReport> {
        let ways = self.0.part.calls.iter().flat_map(|call| &call.ways);
        ways.map(|way| way.drift.report(way.place.clone())).collect()
    }
}

#[async_trait]
impl Translate for Translator {
    async fn call(&self, input: Value) -> Result<Value, Problem> {
        Self::call(self, input).await
    }
}

impl Inner {
    pub(crate) fn check_input(&self, input: &Value) -> Result<(), Problem> {
        let Some(schema) = &self.part.input else { return Ok(()) };
        schema.validate_value(&input.approximate()).map_err(|violations| {
            let found: Vec<String> = violations.iter().map(ToString::to_string).collect();
            Problem::invalid(found.join("; "))
        })
    }

    pub(crate) fn check_output(&self, output: &Value) -> Result<(), Problem> {
        let Some(schema) = &self.part.output else { return Ok(()) };
        schema.validate_value(&output.approximate()).map_err(|violations| {
            let found: Vec<String> = violations.iter().map(ToString::to_string).collect();
            Problem::untranslatable(format!("the result: {}", found.join("; ")))
        })
    }
}
