//! What one translation may cost.

use super::outcome::Problem;
use crate::limits::Limits;
use crate::value::Value;

/// A bound that is reached.
#[derive(Debug)]
pub(crate) struct Fatal(pub(super) Problem);

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
        let limit = self.limits.steps;
        let too_much = || Fatal(Problem::TooMuch { what: "values to look at", limit });
        self.steps = self.steps.checked_sub(steps as u64).ok_or_else(too_much)?;
        Ok(())
    }

    /// For a value of the result, and all in it.
    pub(super) fn spend(&mut self, value: &Value) -> Result<(), Fatal> {
        let Some(nodes) = self.nodes.checked_sub(1) else {
            let limit = self.limits.nodes as u64;
            return Err(Fatal(Problem::TooMuch { what: "values in its result", limit }));
        };
        self.nodes = nodes;
        match value {
            Value::Text(text) => {
                let Some(bytes) = self.bytes.checked_sub(text.len()) else {
                    let limit = self.limits.size as u64;
                    return Err(Fatal(Problem::TooMuch { what: "bytes of text in its result", limit }));
                };
                self.bytes = bytes;
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
