//! The end of a move: nobody asks the old system any more, and what stands in the file for it can go.

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

/// Which of these features, by name and stage, can go from the file.
///
/// What they leave behind there, an old service that nobody else needs and the routes that name them, is known to whoever
/// knows the file.
pub fn removable<'f>(features: impl IntoIterator<Item = (&'f str, Stage)>) -> Vec<Removable> {
    let retired = features.into_iter().filter(|(_, stage)| *stage == Stage::Retired);
    let why = "it is retired; route its path to the new service";
    let gone = |(name, _)| Removable { what: format!("features.{name}"), lines: None, why: why.to_owned() };
    retired.map(gone).collect()
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
    fn retired_features_can_go() {
        let found = removable([("checkout", Stage::Retired), ("search", Stage::Complete)]);
        assert_eq!(found.iter().map(|one| one.what.as_str()).collect::<Vec<_>>(), ["features.checkout"]);
    }
}
