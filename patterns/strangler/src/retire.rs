//! The end of a move: nobody asks the old system any more, and what stands in the file for it can go.

use std::collections::BTreeMap;
use std::time::Duration;

use dozen_core::{Timestamp, duration};
use serde::Serialize;

use crate::stage::{Stage, State};
use crate::usage::Used;

/// The last part of the time of silence, in which the new side must have served: two of fourteen days.
const HEARD_IN: u32 = 7;

/// Why the old system may be retired; `None` while that is not proven. Silence counts only while the new side is seen to
/// serve, up to the end of it: nobody at all is no proof, for then perhaps nobody comes this way.
pub(crate) fn unused(state: &State, used: &Used, after: Duration, now: Timestamp) -> Option<String> {
    let since = state.entered.max(used.last_old.unwrap_or(state.entered));
    let serves = used.last_new.is_some_and(|last| last > since && now.since(last) <= after / HEARD_IN);
    if state.effective() != Stage::Complete || now.since(since) < after || !serves {
        return None;
    }
    let last = match used.last_caller() {
        Some(caller) => format!("the last caller was {} at {}", caller.name, caller.last),
        None => "nobody has asked it since the move was complete".to_owned(),
    };
    Some(format!("no traffic to the old side for {}; {last}", duration::text(after)))
}

/// Lines of the file, counted from 1, the last one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Lines {
    /// The first.
    pub first: u32,
    /// The last.
    pub last: u32,
}

/// Something in the file that is not needed any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removable {
    /// Its path in the file: `features.checkout`, `services.legacy`.
    pub what: String,
    /// Its lines, where they are known.
    pub lines: Option<Lines>,
    /// Why it can go.
    pub why: String,
}

/// What can go from the file: retired features, and the old services that no other feature needs.
///
/// `features` are name, old service and stage. `spans` are the lines of paths in the file. What else uses a service (a route, a
/// subscription) is not known here: `uses` says whether something does.
pub fn removable<'f>(
    features: impl IntoIterator<Item = (&'f str, &'f str, Stage)>,
    spans: &BTreeMap<String, Lines>,
    uses: impl Fn(&str) -> bool,
) -> Vec<Removable> {
    let features: Vec<_> = features.into_iter().collect();
    let mut found = Vec::new();
    let mut note = |what: String, why: String| {
        let lines = spans.get(&what).copied();
        found.push(Removable { what, lines, why });
    };
    let mut services: BTreeMap<&str, bool> = BTreeMap::new();
    for (name, old, stage) in &features {
        let is_retired = *stage == Stage::Retired;
        *services.entry(old).or_insert(true) &= is_retired;
        if is_retired {
            note(format!("features.{name}"), "it is retired; route its path to the new service".to_owned());
        }
    }
    for (service, _) in services.into_iter().filter(|(service, free)| *free && !uses(service)) {
        note(format!("services.{service}"), "all of its features are retired".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;

    fn at(days: u64) -> Timestamp {
        Timestamp(0).after(Duration::from_secs(days * DAY))
    }

    #[test]
    fn silence_is_proof_only_where_somebody_is_heard() {
        let state = State { stage: Stage::Complete, ..State::first(Stage::Complete, at(0)) };
        let after = Duration::from_secs(14 * DAY);
        let mut used = Used { last_new: Some(at(16)), last_old: Some(at(3)), ..Used::default() };
        used.callers = vec![crate::sketch::Heavy { name: "batch".into(), count: 3, over: 0, last: at(3) }];
        assert_eq!(unused(&state, &used, after, at(16)), None, "13 days");
        let proof = unused(&state, &used, after, at(17)).expect("14 days");
        assert!(proof.contains("14d") || proof.contains("1209600s"), "{proof}");
        assert!(proof.contains("batch"), "{proof}");
        let silent = Used { last_new: None, ..used.clone() };
        assert_eq!(unused(&state, &silent, after, at(40)), None, "nobody at all is no proof");
        let once = Used { last_new: Some(at(4)), ..used.clone() };
        assert_eq!(unused(&state, &once, after, at(17)), None, "one request and then nobody neither");
        let back = State { stage: Stage::Compare, ..state };
        assert_eq!(unused(&back, &used, after, at(40)), None);
    }

    #[test]
    fn the_lines_that_can_go_are_named() {
        let features = [
            ("checkout", "legacy", Stage::Retired),
            ("search", "legacy", Stage::Complete),
            ("cart", "mainframe", Stage::Retired),
            ("stock", "erp", Stage::Retired),
        ];
        let spans = BTreeMap::from([("features.checkout".to_owned(), Lines { first: 10, last: 14 })]);
        let found = removable(features, &spans, |service| service == "erp");
        let names: Vec<&str> = found.iter().map(|removable| removable.what.as_str()).collect();
        assert_eq!(names, ["features.checkout", "features.cart", "features.stock", "services.mainframe"]);
        assert_eq!(found[0].lines, Some(Lines { first: 10, last: 14 }));
    }
}
