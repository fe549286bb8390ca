//! Drift: the other side changes its contract, and somebody should hear of it before a field is needed that is not there.
//!
//! ```text
//!   examples, or the schema of the answer ──► Shape ◄── compare ── one of so many live answers
//!                                                          │
//!                       new · missing · another type · a word that is not listed, by path
//!                                                          │
//!                         once for each field: how often, first seen, last seen
//! ```
//!
//! Nothing is passed on or held back because of drift: the table decides about that, and it cannot fail silently. What is
//! kept is names of fields, never a value, and a bounded number of them. The schema counts where there is one; else the
//! examples do, and then a field that all examples have counts as one that is always there.

mod schema;
mod shape;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use dozen_core::Timestamp;
use dozen_mapping::Value;
use serde::Serialize;

use self::shape::Shape;
use crate::foreign::Place;
use crate::options::DriftOptions;
use crate::refusal::Undecided;

/// How a field differs from what is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// Nobody knows it.
    New,
    /// It has always been there, and is not.
    Missing,
    /// It is of another type.
    Type {
        /// What it was.
        was: String,
        /// What it is.
        now: &'static str,
    },
    /// It is a word that the schema does not list.
    Word,
    /// It is a rule of `errors` that could say neither yes nor no.
    Undecided,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("is new"),
            Self::Missing => f.write_str("is missing"),
            Self::Type { was, now } => write!(f, "was {was}, and is {now}"),
            Self::Word => f.write_str("has a word that is not listed"),
            Self::Undecided => f.write_str("cannot be decided"),
        }
    }
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DriftField {
    /// Where: `Item[*].Price`.
    pub path: String,
    /// How.
    #[serde(flatten)]
    pub change: Change,
    /// In how many of the compared answers; more than once in one answer counts as often.
    pub count: u64,
    /// When it was seen first.
    pub first: Timestamp,
    /// When it was seen last.
    pub last: Timestamp,
}

/// How the answers to one way of asking differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DriftReport {
    /// The way.
    pub place: Place,
    /// Answers that were compared.
    pub compared: u64,
    /// Fields that differ.
    pub fields: Vec<DriftField>,
    /// Differences of fields that were not kept, because there are too many.
    pub more: u64,
    /// Places of which neither the schema nor the examples say anything, so that nothing is compared there; `.` is the whole
    /// document. Not more than 100.
    pub not_compared: Vec<String>,
}

/// What is known of one way's answers, and how live ones differ.
#[derive(Debug)]
pub(crate) struct Drift {
    options: DriftOptions,
    flat: bool,
    has_schema: bool,
    turn: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    shape: Shape,
    compared: u64,
    found: Found,
}

/// What differs, within bounds.
#[derive(Debug, Default)]
struct Found {
    fields: BTreeMap<(String, Change), Seen>,
    more: u64,
}

impl Found {
    /// Counts one difference; whether it is the first of its kind, and kept.
    fn add(&mut self, path: String, change: Change, now: Timestamp, fields_max: usize) -> bool {
        let is_room = self.fields.len() < fields_max;
        match self.fields.entry((path, change)) {
            Entry::Occupied(mut seen) => {
                let seen = seen.get_mut();
                (seen.count, seen.last) = (seen.count + 1, now);
                false
            }
            Entry::Vacant(field) if is_room => {
                field.insert(Seen { count: 1, first: now, last: now });
                true
            }
            Entry::Vacant(_) => {
                self.more += 1;
                false
            }
        }
    }
}

#[derive(Debug)]
struct Seen {
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Drift {
    pub(crate) fn new(options: DriftOptions, schema: Option<&serde_json::Value>, flat: bool) -> Self {
        let shape = schema.map(schema::shape).unwrap_or_default();
        let state = State { shape, compared: 0, found: Found::default() };
        let (turn, state) = (AtomicU64::new(0), Mutex::new(state));
        Self { options, flat, has_schema: schema.is_some(), turn, state }
    }

    /// Learns from a recorded answer, where there is no schema.
    pub(crate) fn learn(&self, document: &Value) {
        if !self.has_schema {
            self.with(|state| state.shape.learn(document, self.flat));
        }
    }

    /// Compares a live answer, if it is its turn.
    pub(crate) fn look(&self, document: &Value, place: &Place, now: Timestamp) {
        if !self.turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(u64::from(self.options.one_in.get())) {
            return;
        }
        let mut first_seen = Vec::new();
        self.with(|state| {
            if state.shape.is_unknown() {
                return;
            }
            state.compared += 1;
            let State { shape, found, .. } = state;
            shape.compare(document, self.flat, &mut |path, change| {
                let field = format!("`{path}` {change}");
                if found.add(path, change, now, self.options.fields_max.get()) {
                    first_seen.push(field);
                }
            });
        });
        for field in first_seen {
            tracing::warn!(way = %place, "the contract of another system has changed: {field}");
        }
    }

    /// Keeps that a rule of `errors` could not be decided. Every answer counts here, and not one of so many.
    pub(crate) fn undecided(&self, rule: &Undecided, place: &Place, now: Timestamp) {
        let path = format!("errors[{}]", rule.place);
        let fields_max = self.options.fields_max.get();
        if self.with(|state| state.found.add(path, Change::Undecided, now, fields_max)) {
            let (rule, why) = (rule.place, &rule.why);
            tracing::warn!(way = %place, "`errors[{rule}]` cannot be decided, and counts as one that does not hold: {why}");
        }
    }

    pub(crate) fn report(&self, place: Place) -> DriftReport {
        self.with(|state| DriftReport {
            place,
            compared: state.compared,
            fields: state
                .found
                .fields
                .iter()
                .map(|((path, change), seen)| DriftField {
                    path: path.clone(),
                    change: change.clone(),
                    count: seen.count,
                    first: seen.first,
                    last: seen.last,
                })
                .collect(),
            more: state.found.more,
            not_compared: state.shape.blind(),
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
