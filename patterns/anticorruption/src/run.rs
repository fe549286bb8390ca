//! One operation under way.
//!
//! ```text
//!   input ─► calls that need nothing of each other, at the same time ─► map ─► result
//!               │ each: first provider ─► next one, if it cannot be had and asking again does no harm
//!               └ optional: without an answer the operation goes on
//! ```
//!
//! **When the next provider is asked.** If the first was certainly not reached (no connection, its circuit open, its bulkhead
//! full), always. If it may have done what it was asked for (time-out, broken exchange, a status that says that it is unwell),
//! only where the request may be repeated. If a rule of `errors` says so, always. A document that cannot be translated is
//! no reason: that is for people to see, not to be covered up.

use std::sync::Arc;
use std::time::Duration;

use dozen_dataplane::Want;
use dozen_mapping::{Limits, Object, Value};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::ask::Ask;
use crate::foreign::{Foreign, ForeignError, ForeignRequest};
use crate::meaning::Meaning;
use crate::plan::INPUT;
use crate::problem::Problem;
use crate::tally::Tally;
use crate::translator::{Call, Inner};

/// Who answers.
#[derive(Clone)]
pub(crate) enum Source {
    /// The providers, or what is recorded for those that are mocked.
    Live,
    /// Somebody in place of all of them. Nothing is guarded, counted or compared.
    Instead(Arc<dyn Foreign>),
    /// Somebody who plays what is recorded: the same, and headers of envelopes, which hold secrets, are left out.
    Played(Arc<dyn Foreign>),
}

pub(crate) struct Run<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) source: Source,
    pub(crate) until: Instant,
}

/// A way that did not lead to a result.
struct Failed {
    problem: Problem,
    next: bool,
}

/// How far a call is.
enum State {
    Waiting,
    Running,
    Done(Option<Value>),
}

impl Run<'_> {
    /// The result of the operation.
    pub(crate) async fn whole(&self, input: Value) -> Result<Value, Problem> {
        let part = &self.inner.part;
        let mut states: Vec<State> = part.calls.iter().map(|_| State::Waiting).collect();
        let mut running = FuturesUnordered::new();
        loop {
            for (at, call) in part.calls.iter().enumerate() {
                let can_begin = call.needs.iter().all(|need| matches!(states[*need], State::Done(_)));
                if can_begin && matches!(states[at], State::Waiting) {
                    states[at] = State::Running;
                    let seen = self.seen(&input, &states);
                    running.push(async move { (at, self.call(call, seen).await) });
                }
            }
            let Some((at, answered)) = running.next().await else { break };
            states[at] = State::Done(match answered {
                Ok(value) => Some(value),
                Err(problem) if part.calls[at].optional => {
                    self.count(Tally::left_out);
                    tracing::debug!(translator = &*part.name, call = &*part.calls[at].name, %problem, "an optional call had no answer");
                    None
                }
                // Dropping the others ends what they ask.
                Err(problem) => return Err(problem),
            });
        }
        let output = match &part.map {
            Some(map) => {
                let made = map.apply(&self.seen(&input, &states), &part.limits);
                let made = made.map_err(|failure| Problem::untranslatable(failure.to_string()))?;
                self.count(|tally| tally.fallbacks(made.fallbacks_total));
                made.value
            }
            None => match states.pop() {
                Some(State::Done(value)) => value.unwrap_or_default(),
                _ => Value::Null,
            },
        };
        self.inner.check_output(&output)?;
        Ok(output)
    }

    /// What tables can refer to by now.
    fn seen(&self, input: &Value, states: &[State]) -> Value {
        let mut seen = Object::with_capacity(states.len() + 1);
        seen.insert(INPUT.into(), input.clone());
        for (call, state) in self.inner.part.calls.iter().zip(states) {
            if let State::Done(Some(value)) = state {
                seen.insert(call.name.clone(), value.clone());
            }
        }
        Value::Object(seen)
    }

    async fn call(&self, call: &Call, seen: Value) -> Result<Value, Problem> {
        let with = match &call.with {
            Some(with) => {
                let made = with.apply(&seen, &Limits::default());
                made.map_err(|failure| {
                    Problem::untranslatable(format!("the question `{}`: {failure}", call.name))
                })?
                .value
            }
            None => seen.get(INPUT).cloned().unwrap_or_default(),
        };
        let mut last = Problem::unavailable("there is nobody to ask", None);
        for (place, way) in call.ways.iter().enumerate() {
            if place > 0 {
                self.count(Tally::passed_on);
            }
            match self.ask(way, &with).await {
                Ok(value) => return Ok(value),
                Err(Failed { problem, next: true }) => last = problem,
                Err(Failed { problem, next: false }) => return Err(problem),
            }
        }
        Err(last)
    }

    async fn ask(&self, way: &Ask, with: &Value) -> Result<Value, Failed> {
        let is_bare = matches!(self.source, Source::Played(_));
        let request = way.request(with, is_bare).map_err(|problem| Failed { problem, next: false })?;
        let answered = match &self.source {
            Source::Instead(foreign) | Source::Played(foreign) => self.exchange(way, request, foreign).await,
            Source::Live => return self.guarded(way, request).await,
        };
        meant(way, answered)
    }

    /// Behind the provider's bulkhead and circuit.
    async fn guarded(&self, way: &Ask, request: http::Request<bytes::Bytes>) -> Result<Value, Failed> {
        let providers = &self.inner.providers;
        let name = &way.place.provider;
        let upstream = providers.upstreams.get(name).ok_or_else(|| Failed {
            problem: Problem::unavailable(format!("the service of `{name}` is not known"), None),
            next: true,
        })?;
        let want = Want::new(providers.ids.random());
        let patience = self.left().min(way.provider.options.timeout);
        let lease = upstream.pick_or_wait(&want, patience).await.map_err(|why| Failed {
            problem: Problem::unavailable(format!("`{name}`: {why}"), why.retry_after()),
            next: true,
        })?;
        if self.left().is_zero() {
            // The others have used up the time. That is no word about this one, which was never asked.
            return Err(Failed {
                problem: Problem::late("the time for the whole operation is over"),
                next: false,
            });
        }
        let foreign = providers.foreign(&way.provider);
        let answered = self.exchange(way, request, foreign).await;
        let is_well = match &answered {
            Ok(meaning) => !meaning.is_unwell(),
            Err(error) => matches!(
                error,
                ForeignError::Unsendable(_) | ForeignError::Unreadable(_) | ForeignError::NotRecorded
            ),
        };
        match is_well {
            true => upstream.succeeded(&lease),
            false => upstream.failed(&lease),
        }
        drop(lease);
        if let Some(document) = answered.as_ref().ok().and_then(Meaning::document) {
            way.drift.look(document, &way.place, providers.ids.clock().now());
        }
        meant(way, answered)
    }

    /// Asks, and finds out what the answer means.
    async fn exchange(
        &self,
        way: &Ask,
        request: http::Request<bytes::Bytes>,
        foreign: &Arc<dyn Foreign>,
    ) -> Result<Meaning, ForeignError> {
        let options = &way.provider.options;
        let timeout = self.left().min(options.timeout);
        let answer_max = options.answer_max.get();
        let (place, statement) = (way.place.clone(), way.question.statement());
        let service = way.provider.service.clone();
        let asked = ForeignRequest { place, service, request, statement, timeout, answer_max };
        let answer = foreign.ask(asked).await?;
        let mut undecided = Vec::new();
        let meaning = way.understand(&answer, &mut undecided);
        if let Source::Live = self.source {
            let now = self.inner.providers.ids.clock().now();
            undecided.iter().for_each(|rule| way.drift.undecided(rule, &way.place, now));
        }
        match &meaning {
            Meaning::Result { fallbacks, .. } => self.count(|tally| tally.fallbacks(*fallbacks)),
            Meaning::Problem { problem, .. } => {
                tracing::debug!(way = %way.place, %problem, "a provider answered with an error");
            }
        }
        Ok(meaning)
    }

    /// Counts what happens to those who really ask.
    fn count(&self, count: impl FnOnce(&Tally)) {
        if let Source::Live = self.source {
            count(&self.inner.tally);
        }
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// The result of an answer; or the problem, and whether the next provider is asked.
fn meant(way: &Ask, answered: Result<Meaning, ForeignError>) -> Result<Value, Failed> {
    let error = match answered {
        Ok(Meaning::Result { value, .. }) => return Ok(value),
        Ok(Meaning::Problem { problem, next, .. }) => return Err(Failed { problem, next }),
        Err(error) => error,
    };
    let name = &way.place.provider;
    let next = error.is_unsent() || (way.repeatable && !matches!(error, ForeignError::Unreadable(_)));
    tracing::debug!(way = %way.place, error = %dozen_core::chain(&error), "a provider did not answer");
    let problem = match error {
        ForeignError::TimedOut => Problem::late(format!("`{name}`: {error}")),
        ForeignError::TooLarge(_) => Problem::untranslatable(format!("`{name}`: {error}")),
        ForeignError::Unreadable(why) => Problem::untranslatable(format!("the answer of `{name}`: {why}")),
        _ => Problem::unavailable(format!("`{name}`: {error}"), None),
    };
    Err(Failed { problem, next })
}
