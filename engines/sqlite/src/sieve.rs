//! What a reader that wants only some entries has sifted.

use dozen_store::Sifted;

/// What the caller wants of the entries that come, which both are in order.
pub(crate) struct Sieve<'a>(Option<&'a [(u64, bool)]>);

impl<'a> Sieve<'a> {
    pub(crate) fn new(sifted: Option<&'a Sifted>, mark: u64) -> Self {
        Self(sifted.map(|sifted| {
            let passed = sifted.entries.partition_point(|(position, _)| *position <= mark);
            &sifted.entries[passed..]
        }))
    }

    /// Whether this entry is wanted; `None` when the caller has not looked at it.
    pub(crate) fn wants(&mut self, position: u64) -> Option<bool> {
        let Some(sifted) = &mut self.0 else { return Some(true) };
        while let [(seen, wanted), rest @ ..] = sifted
            && *seen <= position
        {
            *sifted = rest;
            if *seen == position {
                return Some(*wanted);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sieve_wants_what_was_looked_at_and_nothing_else() {
        let sifted = Sifted { after: 1, entries: vec![(2, true), (3, false), (5, true), (7, true)] };
        let mut sieve = Sieve::new(Some(&sifted), 2);
        assert_eq!(
            [3, 4, 5, 6, 7, 8].map(|position| sieve.wants(position)),
            [Some(false), None, Some(true), None, Some(true), None]
        );
        assert_eq!(Sieve::new(None, 0).wants(9), Some(true));
    }
}
