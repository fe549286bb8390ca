//! Two JSON documents, walked down side by side.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::difference::{Difference, Differences, Kind, describe};
use super::joined::joined;
use super::json::Json;
use super::path::Spots;
use super::rules::{Rule, Rules, Unordered, is_personal};
use super::scalar::same_number;
use crate::Tolerance;

/// Visits of one comparison at most: bounds what arrays without order can cost.
const FUEL: u64 = 500_000;
/// Places of one comparison that are told apart.
const PLACES_MAX: usize = 256;

/// The comparison would cost too much.
#[derive(Debug)]
pub(crate) struct OutOfFuel;

/// One step of the way down.
#[derive(Clone, Copy)]
pub(super) enum Segment<'d> {
    Member(&'d str),
    Element(usize),
    /// An element that was found by a member.
    Found(&'d str, &'d str),
}

/// Compares two documents; gives what differs.
pub(crate) fn walk<'d>(
    rules: &'d Rules,
    old: &'d Json<'d>,
    new: &'d Json<'d>,
) -> Result<Differences, OutOfFuel> {
    let mut walk = Walk {
        rules,
        way: Vec::new(),
        found: Differences { places: Some(BTreeSet::new()), ..Differences::default() },
        fuel: FUEL,
        quiet: false,
    };
    walk.pair(old, new, &rules.tree.root(), false)?;
    Ok(walk.found)
}

pub(super) struct Walk<'d> {
    pub(super) rules: &'d Rules,
    pub(super) way: Vec<Segment<'d>>,
    pub(super) found: Differences,
    fuel: u64,
    /// Only asks whether there is a difference; counts it in `more`, and stops at the first.
    pub(super) quiet: bool,
}

/// The rules at one place, taken together.
#[derive(Default)]
struct Here<'d> {
    ignored: bool,
    unordered: Option<&'d Unordered>,
    tolerance: Option<Tolerance>,
    any_case: bool,
    trailing_slash: bool,
    redacted: bool,
}

impl<'d> Here<'d> {
    fn of(rules: impl Iterator<Item = &'d Rule>) -> Self {
        let mut here = Self::default();
        for rule in rules {
            here.ignored |= rule.ignored;
            here.any_case |= rule.any_case;
            here.trailing_slash |= rule.trailing_slash;
            here.redacted |= rule.redacted;
            here.unordered = here.unordered.or(rule.unordered.as_ref());
            here.tolerance = here.tolerance.or(rule.tolerance);
        }
        here
    }
}

impl<'d> Walk<'d> {
    pub(super) fn is_over(&self) -> bool {
        self.quiet && self.found.more > 0
    }

    pub(super) fn pair(
        &mut self,
        old: &'d Json<'d>,
        new: &'d Json<'d>,
        spots: &Spots,
        redacted: bool,
    ) -> Result<(), OutOfFuel> {
        self.fuel = self.fuel.checked_sub(1).ok_or(OutOfFuel)?;
        let rules = self.rules;
        // The rules outlive the walk; the spots do not, so they are taken together here.
        let here = Here::of(spots.iter().map(|spot| rules.tree.rule(*spot)));
        if here.ignored {
            return Ok(());
        }
        let redacted = redacted || here.redacted;
        match (old, new) {
            (Json::Object(left), Json::Object(right)) => self.objects(left, right, spots, redacted),
            (Json::Array(left), Json::Array(right)) => match here.unordered {
                None => self.arrays(left, right, spots, redacted),
                Some(order) => self.unordered(left, right, order, spots, redacted),
            },
            _ if self.same_scalar(old, new, &here) => Ok(()),
            _ => {
                let kind = if old.kind() == new.kind() { Kind::Value } else { Kind::Type };
                self.note(kind, Some(old), Some(new), redacted);
                Ok(())
            }
        }
    }

    fn same_scalar(&self, old: &Json<'_>, new: &Json<'_>, here: &Here<'_>) -> bool {
        match (old, new) {
            (Json::Number(left), Json::Number(right)) => {
                same_number(left, right) || here.tolerance.is_some_and(|by| by.covers(left, right))
            }
            (Json::Text(left), Json::Text(right)) => {
                left == right
                    || here.tolerance.is_some_and(|by| by.covers(left, right))
                    || self.normal(left, here) == self.normal(right, here)
            }
            _ => old == new,
        }
    }

    fn normal(&self, text: &str, here: &Here<'_>) -> String {
        let mut text = self.rules.without_hosts(text);
        if here.any_case {
            text = text.to_lowercase();
        }
        if here.trailing_slash && text.len() > 1 {
            text.truncate(text.trim_end_matches('/').len());
        }
        text
    }

    fn objects(
        &mut self,
        old: &'d [(std::borrow::Cow<'d, str>, Json<'d>)],
        new: &'d [(std::borrow::Cow<'d, str>, Json<'d>)],
        spots: &Spots,
        redacted: bool,
    ) -> Result<(), OutOfFuel> {
        // Both are sorted by name.
        for (one, other) in joined(old.iter(), new.iter(), |(name, _)| name) {
            let Some((name, _)) = one.or(other).filter(|_| !self.is_over()) else { break };
            let below = self.below(spots, |tree| tree.member(spots, name));
            self.way.push(Segment::Member(name));
            self.either(one.map(|(_, value)| value), other.map(|(_, value)| value), &below, redacted)?;
            self.way.pop();
        }
        Ok(())
    }

    fn arrays(
        &mut self,
        old: &'d [Json<'d>],
        new: &'d [Json<'d>],
        spots: &Spots,
        redacted: bool,
    ) -> Result<(), OutOfFuel> {
        for place in 0..old.len().max(new.len()) {
            if self.is_over() {
                break;
            }
            self.element(place, old.get(place), new.get(place), spots, redacted)?;
        }
        Ok(())
    }

    pub(super) fn element(
        &mut self,
        place: usize,
        old: Option<&'d Json<'d>>,
        new: Option<&'d Json<'d>>,
        spots: &Spots,
        redacted: bool,
    ) -> Result<(), OutOfFuel> {
        let below = self.below(spots, |tree| tree.element(spots, place));
        self.way.push(Segment::Element(place));
        self.either(old, new, &below, redacted)?;
        self.way.pop();
        Ok(())
    }

    /// What one side or both have at a place.
    pub(super) fn either(
        &mut self,
        old: Option<&'d Json<'d>>,
        new: Option<&'d Json<'d>>,
        spots: &Spots,
        redacted: bool,
    ) -> Result<(), OutOfFuel> {
        let (old, new) = match (old, new) {
            (Some(old), Some(new)) => return self.pair(old, new, spots, redacted),
            one_sided => one_sided,
        };
        let here = Here::of(spots.iter().map(|spot| self.rules.tree.rule(*spot)));
        if !here.ignored {
            let kind = if old.is_some() { Kind::Missing } else { Kind::Extra };
            self.note(kind, old, new, redacted || here.redacted);
        }
        Ok(())
    }

    /// Where no pattern goes on, nothing is looked up.
    pub(super) fn below(&self, spots: &Spots, down: impl FnOnce(&super::path::Tree<Rule>) -> Spots) -> Spots {
        if spots.is_empty() { Spots::new() } else { down(&self.rules.tree) }
    }

    fn note(&mut self, kind: Kind, old: Option<&Json<'_>>, new: Option<&Json<'_>>, redacted: bool) {
        if self.quiet {
            self.found.more += 1;
            return;
        }
        let place = self.path(true);
        if let Some(places) = &mut self.found.places {
            places.insert(place);
            if places.len() > PLACES_MAX {
                self.found.places = None;
            }
        }
        if self.found.shown.len() >= self.rules.differences_max {
            self.found.more += 1;
            return;
        }
        let personal = |segment: &Segment<'_>| matches!(segment, Segment::Member(name) if is_personal(name));
        let redacted = redacted || self.way.iter().any(personal);
        let shown =
            |value: Option<&Json<'_>>| value.map_or("absent".into(), |value| describe(value, redacted));
        let difference = Difference { path: self.path(false), kind, old: shown(old), new: shown(new) };
        self.found.shown.push(difference);
    }

    /// The way down as a text; with `[*]` for every element when it stands for all of them.
    fn path(&self, general: bool) -> String {
        let mut path = String::from("$");
        for segment in &self.way {
            // Writing to a string cannot fail.
            let _ = match segment {
                Segment::Member(name) if is_plain(name) => write!(path, ".{name}"),
                Segment::Member(name) => write!(path, "['{name}']"),
                _ if general => write!(path, "[*]"),
                Segment::Element(place) => write!(path, "[{place}]"),
                Segment::Found(member, _) if is_personal(member) => write!(path, "[{member}=…]"),
                Segment::Found(member, key) => write!(path, "[{member}={}]", super::difference::excerpt(key)),
            };
        }
        path
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
