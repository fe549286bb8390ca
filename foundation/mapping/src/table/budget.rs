//! What one translation may cost.

use super::outcome::Problem;
use crate::limits::Limits;
use crate::value::Value;

/// A bound that is reached.
#[derive(Debug)]
pub(crate) struct Fatal {
    what: &'static str,
    limit: u64,
}

impl From<Fatal> for Problem {
    fn from(Fatal { what, limit }: Fatal) -> Self {
        Self::TooMuch { what, limit }
    }
}

/// What one translation may still cost.
pub(crate) struct Budget {
    steps: u64,
    nodes: usize,
    pub(super) bytes: usize,
    pub(super) limits: Limits,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { steps: limits.steps, nodes: limits.nodes, bytes: limits.size, limits: limits.clone() }
    }

    pub(crate) fn step(&mut self, steps: usize) -> Result<(), Fatal> {
        let too_much = Fatal { what: "values to look at", limit: self.limits.steps };
        self.steps = self.steps.checked_sub(steps as u64).ok_or(too_much)?;
        Ok(())
    }

    /// That there is more text than there may be.
    pub(super) fn too_long(&self) -> Fatal {
        Fatal { what: "bytes of text in its result", limit: self.limits.size as u64 }
    }

    /// For a value of the result, and all in it.
    pub(super) fn spend(&mut self, value: &Value) -> Result<(), Fatal> {
        let too_much = Fatal { what: "values in its result", limit: self.limits.nodes as u64 };
        self.nodes = self.nodes.checked_sub(1).ok_or(too_much)?;
        match value {
            Value::Text(text) => {
                self.bytes = self.bytes.checked_sub(text.len()).ok_or(self.too_long())?;
            }
            Value::List(list) => {
                for item in list {
                    self.spend(item)?;
                }
            }
            Value::Object(object) => {
                for (_, value) in object.iter() {
                    self.spend(value)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
