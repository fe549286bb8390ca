//! The routes that do not take a request, the nearest first.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::asked::Asked;
use crate::host::without_port;
use crate::rank;
use crate::route::Route;

/// Why a route did not win, in the order of how near it came.
pub(super) enum WhyNot {
    /// It matches too; this is said of the winner.
    LessSpecific(String),
    /// It matches, and nothing wins.
    Nothing,
    Method(String),
    Condition(String),
    Host,
    Path(String),
}

impl WhyNot {
    fn distance(&self) -> u8 {
        match self {
            Self::LessSpecific(_) | Self::Nothing => 0,
            Self::Method(_) => 1,
            Self::Condition(_) => 2,
            Self::Host => 3,
            Self::Path(_) => 4,
        }
    }

    fn of(route: &Route, winner: Option<&Route>, asked: &Asked<'_>) -> Self {
        if let Some(mismatch) = route.path.mismatch(asked.path) {
            return Self::Path(mismatch);
        }
        if !route.host.matches(&without_port(asked.host).to_ascii_lowercase()) {
            return Self::Host;
        }
        if let Some(unmet) = route.conditions.unmet(asked) {
            return Self::Condition(unmet);
        }
        if !route.takes_method(asked.method) {
            return Self::Method(route.methods.join(", "));
        }
        winner.map_or(Self::Nothing, |winner| Self::LessSpecific(rank::reason(winner, route)))
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LessSpecific(why) => write!(f, "it matches too, and the winner is more specific: {why}"),
            Self::Nothing => f.write_str("it matches"),
            Self::Method(methods) => write!(f, "it takes only {methods}"),
            Self::Host => f.write_str("it is for another host"),
            Self::Condition(why) | Self::Path(why) => f.write_str(why),
        }
    }
}

/// All but the winner.
pub(super) fn of<'r>(
    routes: &'r [Arc<Route>],
    winner: Option<&Route>,
    asked: &Asked<'_>,
) -> Vec<(&'r Route, WhyNot)> {
    let others = routes.iter().filter(|route| winner.is_none_or(|winner| winner.name != route.name));
    let mut others: Vec<_> = others.map(|route| (&**route, WhyNot::of(route, winner, asked))).collect();
    others.sort_by(|(one, why_one), (other, why_other)| {
        // Those that match too, in the order in which they would have been taken.
        let both_match = why_one.distance() == 0 && why_other.distance() == 0;
        let order = if both_match { rank::order(one, other) } else { Ordering::Equal };
        why_one.distance().cmp(&why_other.distance()).then(order)
    });
    others
}
