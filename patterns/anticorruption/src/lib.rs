//! Anti-corruption layer: what other systems say stays outside, and the domain talks to translators alone.
//!
//! ```text
//!                 ┌───────────────────────── Translator ─────────────────────────┐
//!            input│ with ─► request ─► document ──┐ bulkhead · circuit · deadline │ Foreign: HTTP, SQL, messages
//!  domain ───────►│                               ├──────────────────────────────►│──────────► provider
//!  (our model)    │                               │   next provider, if it is away│──────────► next provider
//!            ◄────│ map ◄─ result ◄─ document ◄───┘                               │
//!            result or problem        │ errors: theirs ─► ours                     │
//!                 └───────────────────┼────────────────────────────────────────────┘
//!                                     └─► drift: compared with the examples, now and then
//! ```
//!
//! An operation of ours ([`TranslatorOptions`]) is one or several calls. Each names the providers that can answer it, in
//! order, with the request in their model and a table that turns their answer into ours (`dozen_mapping`). Calls that refer
//! to results of others wait for them; all others are made at the same time.
//!
//! What is promised:
//! * *Nothing fails silently.* A table that could does not compile, and everything that is wrong with a file is told at once,
//!   with its place ([`Error`]). At run time there is a whole result or a [`Problem`].
//! * *Nothing leaks.* A problem has our words. An error of theirs that no rule knows is "refused", and its text goes nowhere.
//! * *A provider takes nobody with it.* Each has a bulkhead and a circuit that all translators share, every answer has a bound
//!   and a deadline, and none of them is asked when the program starts.
//! * *Fail-over does nothing twice.* The next provider is asked where the first was certainly not reached, or where the
//!   request may be repeated.
//! * *Examples are the contract.* They are tests ([`Translator::run_examples`]), they stand in for a whole system
//!   (`mock: true`), and live answers are compared with them ([`Translator::drift`]). [`Translator::record`] makes them from
//!   real answers, masked.
//!
//! What a translator is used as: a trait in Rust ([`Translate`]), a [`Served`] behind a route or an invocation, a [`Handled`]
//! on a topic or a queue.

mod ask;
mod cache;
mod compile;
mod drift;
mod error;
mod example;
mod foreign;
mod handle;
mod meaning;
mod metrics;
mod options;
mod plan;
mod problem;
mod provider;
mod question;
mod reading;
mod refusal;
mod run;
mod scope;
mod serve;
mod statement;
mod tally;
mod template;
mod translator;

#[cfg(test)]
mod tests;

pub use compile::Translators;
pub use drift::{Change, DriftField, DriftReport};
pub use error::{Error, MISTAKES_MAX, Mistake};
pub use example::{
    Case, Example, ExamplesError, Exchange, Failed, ProblemExample, RecordedAnswer, RecordedRequest,
    Recording, Report,
};
pub use foreign::{Because, Foreign, ForeignAnswer, ForeignError, ForeignRequest, Http, Place};
pub use handle::{Destination, Handled};
pub use metrics::Metrics;
pub use options::{
    AnswerOptions, AskOptions, CacheOptions, CallOptions, DriftOptions, ErrorOptions, Options,
    ProviderOptions, RequestOptions, Speaks, TranslatorOptions,
};
pub use problem::{Cause, Problem};
pub use provider::ProviderStatus;
pub use serve::Served;
pub use statement::Statement;
pub use tally::Totals;
pub use translator::{Translate, Translator};
