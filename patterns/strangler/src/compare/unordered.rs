//! Arrays whose order means nothing: elements find each other by a member, or by being equal.

use super::joined::joined;
use super::json::Json;
use super::path::Spots;
use super::rules::Unordered;
use super::walk::{OutOfFuel, Segment, Walk};

impl<'d> Walk<'d> {
    pub(super) fn unordered(
        &mut self,
        old: &'d [Json<'d>],
        new: &'d [Json<'d>],
        order: &'d Unordered,
        spots: &Spots,
        redacted: bool,
    ) -> Result<(), OutOfFuel> {
        if let Unordered::By(member) = order
            && let (Some(left), Some(right)) = (by_member(old, member), by_member(new, member))
        {
            for (one, other) in joined(left.into_iter(), right.into_iter(), |(key, ..)| key) {
                let Some((key, place, _)) = one.or(other).filter(|_| !self.is_over()) else { break };
                let below = self.below(spots, |tree| tree.element(spots, place));
                self.way.push(Segment::Found(member, key));
                self.either(one.map(|(.., value)| value), other.map(|(.., value)| value), &below, redacted)?;
                self.way.pop();
            }
            return Ok(());
        }
        self.multisets(old, new, spots, redacted)
    }

    /// Finds for each old element a new one that equals it; what is left over is compared in its order.
    fn multisets(
        &mut self,
        old: &'d [Json<'d>],
        new: &'d [Json<'d>],
        spots: &Spots,
        redacted: bool,
    ) -> Result<(), OutOfFuel> {
        let mut taken = vec![false; new.len()];
        let mut lonely = Vec::new();
        for (place, one) in old.iter().enumerate() {
            // The order is often the same after all, so the search begins at the same place.
            let candidates = (place.min(new.len())..new.len()).chain(0..place.min(new.len()));
            let mut found = None;
            for at in candidates {
                if !taken[at] && self.equal(one, &new[at], &self.rules.tree.element(spots, place))? {
                    found = Some(at);
                    break;
                }
            }
            match found {
                Some(at) => taken[at] = true,
                None => lonely.push(place),
            }
        }
        let others: Vec<usize> = (0..new.len()).filter(|at| !taken[*at]).collect();
        for at in 0..lonely.len().max(others.len()) {
            if self.is_over() {
                break;
            }
            let (one, other) = (lonely.get(at).copied(), others.get(at).copied());
            let place = one.or(other).unwrap_or(0);
            self.element(
                place,
                one.map(|place| &old[place]),
                other.map(|place| &new[place]),
                spots,
                redacted,
            )?;
        }
        Ok(())
    }

    fn equal(&mut self, old: &'d Json<'d>, new: &'d Json<'d>, spots: &Spots) -> Result<bool, OutOfFuel> {
        let (quiet, more) = (std::mem::replace(&mut self.quiet, true), std::mem::take(&mut self.found.more));
        let walked = self.pair(old, new, spots, false);
        let equal = self.found.more == 0;
        (self.quiet, self.found.more) = (quiet, more);
        walked.map(|()| equal)
    }
}

/// An element with its key and its place.
type Keyed<'d> = (&'d str, usize, &'d Json<'d>);

/// Elements sorted by the text of a member; `None` when one has no such member, or two have the same.
fn by_member<'d>(elements: &'d [Json<'d>], member: &str) -> Option<Vec<Keyed<'d>>> {
    let keyed = elements.iter().enumerate().map(|(place, element)| match element.member(member)? {
        Json::Text(text) => Some((text.as_ref(), place, element)),
        Json::Number(text) => Some((*text, place, element)),
        _ => None,
    });
    let mut keyed: Vec<Keyed<'d>> = keyed.collect::<Option<_>>()?;
    keyed.sort_by_key(|(key, ..)| *key);
    keyed.windows(2).all(|pair| pair[0].0 != pair[1].0).then_some(keyed)
}
