//! What bounds the work of one evaluation.
//!
//! Each loop's range passes through `@walk(range, @fuel, cost)`, which [`prepare`](crate::prepare) put there: it charges
//! for all elements before the first is looked at. A loop inside a loop is charged each time it is entered, so the sum
//! is what is really walked, however loops nest.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cel::ExecutionError;
use cel::common::types::{CelInt, Type};
use cel::common::value::{CowVal, StaticVal, Val};

use crate::{DATA_MAX, STEPS_MAX};

/// One step covers a part of an expression that looks through this much.
const STEP_BYTES: u64 = 16 * 1024;

/// The type that an overload takes it by.
pub(crate) const TYPE: Type = Type::new_unspecified_type("fuel");
static OWN_TYPE: Type = TYPE;

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

    fn charge(&self, elements: u64, cost: u64) -> bool {
        let weight = 1 + self.0.bytes.load(Ordering::Relaxed) / STEP_BYTES;
        let steps = elements.saturating_add(1).saturating_mul(cost).saturating_mul(weight);
        let before = self.0.spent.fetch_add(steps.min(STEPS_MAX + 1), Ordering::Relaxed);
        before.saturating_add(steps) <= STEPS_MAX
    }
}

impl Val for Fuel {
    fn get_type(&self) -> &Type {
        &OWN_TYPE
    }

    fn cel_type() -> &'static Type {
        &OWN_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Fuel {}

/// `@walk(range, @fuel, cost)`: the range itself, once it is paid for.
pub(crate) fn walk<'b, 'v>(mut arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let internal = || ExecutionError::InternalError("a loop without its charge".to_owned());
    let cost = arguments.pop().ok_or_else(internal)?;
    let fuel = arguments.pop().ok_or_else(internal)?;
    let range = arguments.pop().ok_or_else(internal)?;
    let cost = cost.downcast_ref::<CelInt>().and_then(|cost| u64::try_from(*cost.inner()).ok());
    let fuel = fuel.downcast_ref::<Fuel>().ok_or_else(internal)?;
    let elements = range.as_sizer().and_then(|sizer| u64::try_from(*sizer.size().inner()).ok()).unwrap_or(0);
    if fuel.charge(elements, cost.ok_or_else(internal)?) {
        Ok(range)
    } else {
        Err(ExecutionError::InternalError("too much work".to_owned()))
    }
}
