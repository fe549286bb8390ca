//! Which of two routes that take the same request is the more specific one. The order is written down here and nowhere
//! else; the tree and the sorting of its leaves follow it, and a test compares both with a search that uses nothing
//! else.
//!
//! 1. **Host**: one written out before `*.suffix`, a longer suffix before a shorter one, any before none.
//! 2. **Path**, segment by segment from the left: a written segment before a regular expression, that before `{name}`,
//!    and that before `{*rest}`. A regular expression stands behind the whole segments that every path begins with
//!    which it can match: `^/orders/[0-9]+$` behind `orders`. Of two in one place the one with the longer literal
//!    beginning comes first, then the longer one.
//! 3. **Conditions**: more before fewer; of as many, those with more written values, then those with more expressions
//!    (`~…`) in the place of `*`.
//! 4. **Method**: some before any.
//! 5. What is left are routes that are equally specific and ask for different things. The first by the alphabet of
//!    their conditions and names wins, so that the order of the file never means anything.

use std::cmp::{Ordering, Reverse};

use crate::host::Host;
use crate::path::{PathMatch, Step};
use crate::route::Route;

/// `Less` means that `one` comes first. Only of routes that can take the same request is that a statement.
pub(crate) fn order(one: &Route, other: &Route) -> Ordering {
    compare(one, other).0
}

/// Why the first of two routes wins over the second, in words that follow "it wins because".
pub(crate) fn reason(winner: &Route, other: &Route) -> String {
    compare(winner, other).1
}

fn compare(one: &Route, other: &Route) -> (Ordering, String) {
    let (hosts, paths) = (host(&one.host).cmp(&host(&other.host)), path(&one.path, &other.path));
    if hosts != Ordering::Equal {
        return (hosts, "its host is named more closely".into());
    }
    if paths.0 != Ordering::Equal {
        return paths;
    }
    let (mine, theirs) = (one.conditions.weight(), other.conditions.weight());
    if mine != theirs {
        let why = match () {
            () if mine.count != theirs.count => {
                format!("it asks for more ({} against {})", told(mine.count), theirs.count)
            }
            () if mine.exact != theirs.exact => "more of its conditions are written values".to_owned(),
            () => "more of its conditions are expressions, not just `*`".to_owned(),
        };
        return (theirs.cmp(&mine), why);
    }
    let methods = one.methods.is_empty().cmp(&other.methods.is_empty());
    if methods != Ordering::Equal {
        return (methods, "it names its methods".into());
    }
    let text = |route: &Route| (route.conditions.to_string(), route.name.clone());
    let last = text(one).cmp(&text(other));
    (last, "both are equally specific, and its conditions come first in the alphabet".into())
}

fn told(count: usize) -> String {
    format!("{count} condition{}", if count == 1 { "" } else { "s" })
}

fn host(host: &Host) -> (u8, Reverse<usize>) {
    match host {
        Host::Exact(_) => (0, Reverse(0)),
        Host::Below(suffix) => (1, Reverse(suffix.len())),
        Host::Any => (2, Reverse(0)),
    }
}

fn path(one: &PathMatch, other: &PathMatch) -> (Ordering, String) {
    let class = |step: &Step<'_>| match step {
        Step::Text(_) => 0,
        Step::Pattern(_) => 1,
        Step::One(_) => 2,
        Step::Rest => 3,
    };
    for (mine, theirs) in one.steps().zip(other.steps()) {
        let order = class(&mine).cmp(&class(&theirs));
        if order != Ordering::Equal {
            return (order, format!("its path has {} where the other has {}", word(mine), word(theirs)));
        }
        if let (Step::Pattern(mine), Step::Pattern(theirs)) = (mine, theirs) {
            let key = |pattern: &crate::pattern::Pattern| {
                (Reverse(pattern.prefix().len()), Reverse(pattern.text().len()), pattern.text().to_owned())
            };
            return (
                key(mine).cmp(&key(theirs)),
                "its expression has more that is literal, or is longer".into(),
            );
        }
    }
    (Ordering::Equal, String::new())
}

fn word(step: Step<'_>) -> String {
    match step {
        Step::Text(text) => format!("`{text}`"),
        Step::Pattern(pattern) => format!("`{}`", pattern.text()),
        Step::One(name) => format!("`{{{name}}}`"),
        Step::Rest => "`{*…}`".into(),
    }
}
