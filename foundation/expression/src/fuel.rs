//! What bounds the work of one evaluation.
//!
//! Without loops the text is the bound. With them, [`prepare`](crate::prepare) puts two calls into the tree, and both pay
//! before the work is done. `@walk(range, …)` stands around each loop's range and charges for all its elements; a loop
//! inside a loop is charged each time it is entered. `@weigh(value, …)` stands, inside loops, around what an operation
//! looks through or copies whole. So the sum is what is really done, however loops nest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cel::ExecutionError;
use cel::common::types::{CelBytes, CelInt, CelList, CelMap, CelString, Type};
use cel::common::value::{CowVal, Val};

use crate::{DATA_MAX, STEPS_MAX};

/// What one step looks through or copies: this much text.
const STEP_BYTES: u64 = 1024;

/// How much text a value counts for, beside its own.
const VALUE_BYTES: u64 = 256;

/// The type that an overload takes it by.
pub(crate) const TYPE: Type = Type::new_unspecified_type("fuel");

/// How often copying a value counts as looking through it: each part of it is allocated anew.
pub(crate) const COPY_RATE: u64 = 4;

/// The budget of one evaluation, and what went over it. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fuel(Arc<State>);

#[derive(Debug, Default)]
struct State {
    spent: AtomicU64,
    bytes: AtomicU64,
    too_large: AtomicBool,
}

impl Fuel {
    /// Counts `bytes` of JSON that this evaluation may look through; false when they are too many.
    pub(crate) fn carry(&self, bytes: usize) -> bool {
        let before = self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let fits = before + bytes as u64 <= DATA_MAX as u64;
        if !fits {
            self.0.too_large.store(true, Ordering::Relaxed);
        }
        fits
    }

    /// Whether something was too large to be looked into.
    pub(crate) fn too_large(&self) -> bool {
        self.0.too_large.load(Ordering::Relaxed)
    }

    /// Whether the loops went over the budget.
    pub(crate) fn is_spent(&self) -> bool {
        self.0.spent.load(Ordering::Relaxed) > STEPS_MAX
    }

    fn charge(&self, steps: u64) -> bool {
        let before = self.0.spent.fetch_add(steps.min(STEPS_MAX + 1), Ordering::Relaxed);
        before.saturating_add(steps) <= STEPS_MAX
    }
}

crate::opaque::opaque!(Fuel, TYPE);

/// `@walk(range, @fuel, cost)`: the range itself, once it is paid for. `cost` is that of one element, in steps.
pub(crate) fn walk<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    paid(arguments, |range, cost| {
        let elements = range.as_sizer().and_then(|sizer| u64::try_from(*sizer.size().inner()).ok());
        // Each element is copied into the loop's variable.
        (elements.unwrap_or(0) + 1)
            .saturating_mul(cost)
            .saturating_add(weight(range) * COPY_RATE / STEP_BYTES)
    })
}

/// `@weigh(value, @fuel, rate)`: the value itself, once looking through all of it `rate` times is paid for.
pub(crate) fn weigh<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    paid(arguments, |value, rate| weight(value).saturating_mul(rate) / STEP_BYTES)
}

fn paid<'b, 'v>(
    mut arguments: Vec<CowVal<'b, 'v>>,
    steps: impl FnOnce(&dyn Val, u64) -> u64,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let internal = || ExecutionError::InternalError("a charge without its account".to_owned());
    let price = arguments.pop().ok_or_else(internal)?;
    let fuel = arguments.pop().ok_or_else(internal)?;
    let value = arguments.pop().ok_or_else(internal)?;
    let price = price.downcast_ref::<CelInt>().and_then(|price| u64::try_from(*price.inner()).ok());
    let fuel = fuel.downcast_ref::<Fuel>().ok_or_else(internal)?;
    // A loop goes on after an error, in case a later element decides. So whoever has nothing left is not even weighed.
    if !fuel.is_spent() && fuel.charge(steps(value.as_ref(), price.ok_or_else(internal)?)) {
        Ok(value)
    } else {
        Err(ExecutionError::InternalError("too much work".to_owned()))
    }
}

/// How much there is to look through, in bytes.
fn weight(value: &dyn Val) -> u64 {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        text.inner().len() as u64
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        list.inner().iter().map(|item| VALUE_BYTES + weight(item.as_ref())).sum()
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        map.inner()
            .iter()
            .map(|(name, value)| VALUE_BYTES + weight(name.inner()) + weight(value.as_ref()))
            .sum()
    } else if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
        bytes.inner().len() as u64
    } else {
        0
    }
}
