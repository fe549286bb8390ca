//! The functions that charges are made by, and those that we have in place of jq's.

use std::cell::Cell;
use std::time::Instant;

use jaq_core::data::HasLut;
use jaq_core::native::{Filter, Fun, bome, v};
use jaq_core::{DataT, Error, Lut, Native, RunPtr, ValXs};
use jaq_json::{Num, Val};

use super::JqError;
use super::convert;

/// How many steps are done between two looks at the clock.
const LOOK_EVERY: u32 = 32;

/// How many steps of folds are done between two looks at how deep their value is.
const DEPTH_EVERY: u32 = 16;

/// How deep a value may become that a fold builds.
const DEPTH_MAX: usize = 128;

/// The largest whole number up to which a binary number is exact.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// What one run may still cost. A unit is a value, or 16 bytes of text.
pub(super) struct Meter {
    work: Cell<u64>,
    steps: Cell<u32>,
    folds: Cell<u32>,
    deadline: Option<Instant>,
    problem: Cell<Option<JqError>>,
}

impl Meter {
    pub(super) fn new(work: u64, deadline: Option<Instant>) -> Self {
        let (steps, folds, problem) = (Cell::new(0), Cell::new(0), Cell::new(None));
        Self { work: Cell::new(work), steps, folds, deadline, problem }
    }

    /// What the run has failed of; once it has, it fails at every step.
    pub(super) fn problem(&self) -> Option<JqError> {
        self.problem.get()
    }

    fn fail(&self, problem: JqError) -> bool {
        self.problem.set(Some(self.problem.get().unwrap_or(problem)));
        false
    }

    /// Charges, and says whether the run may go on.
    fn charge(&self, units: usize) -> bool {
        if self.problem.get().is_some() {
            return false;
        }
        let Some(left) = self.work.get().checked_sub(units as u64 + 1) else {
            return self.fail(JqError::TooMuchWork);
        };
        self.work.set(left);
        self.steps.set(self.steps.get().wrapping_add(1));
        let look = self.steps.get().is_multiple_of(LOOK_EVERY) || units > 1000;
        if look && self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return self.fail(JqError::TooSlow);
        }
        true
    }

    /// Charges all of a value, and stops walking when nothing is left.
    fn weigh(&self, value: &Val) -> bool {
        let length = match value {
            Val::TStr(text) | Val::BStr(text) => text.len() / 16,
            Val::Num(Num::Dec(text)) => text.len() / 16,
            _ => 0,
        };
        self.charge(length)
            && match value {
                Val::Arr(list) => list.iter().all(|item| self.weigh(item)),
                Val::Obj(object) => object.iter().all(|(name, value)| self.weigh(name) && self.weigh(value)),
                _ => true,
            }
    }

    /// Whether a value nests no deeper than it may.
    fn is_flat(&self, value: &Val, depth: usize) -> bool {
        if depth == 0 {
            return self.fail(JqError::NoJson);
        }
        match value {
            Val::Arr(list) => list.iter().all(|item| self.charge(0) && self.is_flat(item, depth - 1)),
            Val::Obj(object) => {
                object.iter().all(|(_, value)| self.charge(0) && self.is_flat(value, depth - 1))
            }
            _ => true,
        }
    }
}

/// Values of jq, with a meter beside them.
pub(super) struct Metered;

impl DataT for Metered {
    type V<'a> = Val;
    type Data<'a> = Data<'a>;
}

#[derive(Clone, Copy)]
pub(super) struct Data<'a> {
    pub(super) lut: &'a Lut<Metered>,
    pub(super) meter: &'a Meter,
}

impl<'a> HasLut<'a, Metered> for Data<'a> {
    fn lut(&self) -> &'a Lut<Metered> {
        self.lut
    }
}

/// Lets a value through, or fails.
fn through<'a>(goes: bool, value: Val) -> ValXs<'a, Val> {
    bome(if goes { Ok(value) } else { Err(Error::new(Val::Null)) })
}

/// How long a value is, without what is in it.
fn length(value: &Val) -> usize {
    match value {
        Val::TStr(text) | Val::BStr(text) => text.len() / 16,
        Val::Arr(list) => list.len(),
        Val::Obj(object) => object.len(),
        _ => 0,
    }
}

fn is_fraction(value: &Val) -> bool {
    matches!(value, Val::Num(Num::Dec(_) | Num::Float(_)))
}

pub(super) fn funs() -> impl Iterator<Item = Fun<Metered>> {
    let all: [Filter<RunPtr<Metered>>; 11] = [
        ("_step", v(0), |cv| {
            let goes = cv.0.data().meter.charge(0);
            bome(Ok(Val::Bool(goes)))
        }),
        ("_fold_step", v(0), |cv| {
            let meter = cv.0.data().meter;
            meter.folds.set(meter.folds.get().wrapping_add(1));
            let look = meter.folds.get().is_multiple_of(DEPTH_EVERY);
            let goes = meter.charge(0) && (!look || meter.is_flat(&cv.1, DEPTH_MAX));
            bome(Ok(Val::Bool(goes)))
        }),
        ("_weigh", v(0), |cv| through(cv.0.data().meter.weigh(&cv.1), cv.1)),
        ("_whole", v(0), |cv| {
            let meter = cv.0.data().meter;
            let goes = if is_fraction(&cv.1) { meter.fail(JqError::Inexact) } else { meter.charge(0) };
            through(goes, cv.1)
        }),
        ("_factor", v(0), |cv| {
            let is_text = matches!(cv.1, Val::TStr(_) | Val::BStr(_));
            let meter = cv.0.data().meter;
            let goes = if is_fraction(&cv.1) { meter.fail(JqError::Inexact) } else { meter.weigh(&cv.1) };
            through(goes && !is_text, cv.1)
        }),
        ("_operand", v(0), |cv| {
            let meter = cv.0.data().meter;
            let goes = if is_fraction(&cv.1) { meter.fail(JqError::Inexact) } else { meter.weigh(&cv.1) };
            through(goes, cv.1)
        }),
        ("_made", v(0), |cv| {
            let meter = cv.0.data().meter;
            let value = match cv.1 {
                // A whole number, as a division has it.
                Val::Num(Num::Float(number)) if number.fract() == 0.0 && number.abs() < EXACT_MAX => {
                    Val::from(number as isize)
                }
                value => value,
            };
            let goes =
                if is_fraction(&value) { meter.fail(JqError::Inexact) } else { meter.charge(length(&value)) };
            through(goes, value)
        }),
        ("_negated", v(0), |cv| match cv.1 {
            Val::Num(Num::Dec(text)) => bome(convert::number(&match text.strip_prefix('-') {
                Some(positive) => positive.to_owned(),
                None => format!("-{text}"),
            })),
            value => bome(-value),
        }),
        ("tonumber", v(0), |cv| {
            let number = match &cv.1 {
                Val::Num(_) => Some(cv.1.clone()),
                Val::TStr(text) => std::str::from_utf8(text)
                    .ok()
                    .filter(|text| crate::value::Number::parse(text).is_some())
                    .and_then(|text| convert::number(text).ok()),
                _ => None,
            };
            bome(number.ok_or_else(|| Error::new(Val::Null)))
        }),
        ("add", v(0), |cv| {
            let meter = cv.0.data().meter;
            let Val::Arr(list) = &cv.1 else {
                let values = match &cv.1 {
                    Val::Obj(object) => object.values().cloned().collect(),
                    _ => return bome(Err(Error::new(Val::Null))),
                };
                return bome(sum(meter, values));
            };
            bome(sum(meter, list.iter().cloned().collect()))
        }),
        ("join", v(1), |mut cv| {
            let separator = cv.0.pop_var();
            let meter = cv.0.data().meter;
            bome(join(meter, &cv.1, &separator).ok_or_else(|| Error::new(Val::Null)))
        }),
    ];
    all.into_iter().map(|(name, arguments, run)| (name, arguments, Native::<Metered>::new(run)))
}

fn sum(meter: &Meter, values: Vec<Val>) -> jaq_json::ValR {
    let mut sum = Val::Null;
    for value in values {
        let goes =
            if is_fraction(&value) { meter.fail(JqError::Inexact) } else { meter.charge(length(&value)) };
        if !goes {
            return Err(Error::new(Val::Null));
        }
        sum = (sum + value)?;
    }
    Ok(sum)
}

fn join(meter: &Meter, list: &Val, separator: &Val) -> Option<Val> {
    let (Val::Arr(list), Val::TStr(separator)) = (list, separator) else { return None };
    let mut text: Vec<u8> = Vec::new();
    for (at, item) in list.iter().enumerate() {
        let piece = match item {
            Val::Null => Vec::new(),
            Val::TStr(piece) => piece.to_vec(),
            Val::Bool(_) | Val::Num(_) => item.to_string().into_bytes(),
            _ => return None,
        };
        if !meter.charge((piece.len() + separator.len()) / 16) {
            return None;
        }
        if at > 0 {
            text.extend_from_slice(separator);
        }
        text.extend(piece);
    }
    Some(Val::utf8_str(text))
}
