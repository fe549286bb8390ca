//! The plan, for people.

use serde::Serialize;

use super::need::{Need, Otherwise};
use super::plan::Plan;

/// One call of a composition, as `explain` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Planned {
    /// Its name.
    pub call: String,
    /// 0 if it starts with the request, and else one more than the highest level that it waits for.
    pub level: usize,
    /// What is asked: `GET orders:/orders/{id}`.
    pub asks: String,
    /// The calls that it waits for.
    pub waits_for: Vec<String>,
    /// `required`, or `optional` with what stands in.
    pub need: &'static str,
}

impl Plan {
    /// The calls, level by level; those of one level can be under way at the same time.
    pub(crate) fn explain(&self) -> Vec<Planned> {
        let planned = self.calls.iter().zip(&self.levels).map(|(call, level)| Planned {
            call: call.name.to_string(),
            level: *level,
            asks: format!("{} {}:{}", call.method, call.service, call.target_text),
            waits_for: call.waits_for.iter().map(|at| self.calls[*at].name.to_string()).collect(),
            need: match call.need {
                Need::Required => "required",
                Need::Optional(Otherwise::Omit) => "optional, or left out",
                Need::Optional(Otherwise::Null) => "optional, or null",
                Need::Optional(Otherwise::Default(_)) => "optional, or its default",
                Need::Optional(Otherwise::Fail) => "optional, but may not fail",
            },
        });
        let mut planned: Vec<Planned> = planned.collect();
        planned.sort_by_key(|one| one.level);
        planned
    }
}
