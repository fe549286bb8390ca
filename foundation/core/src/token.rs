//! What a commit returns, and a later read can wait for.

use std::fmt;
use std::str::FromStr;

/// Names a commit: everything up to and including `position` of `store`, as of `epoch`.
///
/// It travels as the text `store:epoch:position` in the header `dozen-token` and in a message's `dozentoken`
/// attribute. A reader that holds one waits until it has seen that position, and so reads its own writes. The epoch
/// changes when a store is restored from a copy: positions of another epoch compare with nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// Which store: the identity that its file or database was given when it was made.
    pub store: String,
    /// Which history of it.
    pub epoch: u64,
    /// How far: the highest position that the commit wrote.
    pub position: u64,
}

impl Token {
    /// Whether a reader that has seen `seen` has seen this commit. `None` when the two cannot be compared.
    pub fn seen_by(&self, seen: &Self) -> Option<bool> {
        (self.store == seen.store && self.epoch == seen.epoch).then_some(self.position <= seen.position)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.store, self.epoch, self.position)
    }
}

/// A text that is no token.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no token: expected `store:epoch:position`")]
pub struct TokenError(String);

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let parse = || {
            let mut parts = text.rsplitn(3, ':');
            let position = parts.next()?.parse().ok()?;
            let epoch = parts.next()?.parse().ok()?;
            let store = parts.next().filter(|store| !store.is_empty())?;
            Some(Self { store: store.to_owned(), epoch, position })
        };
        parse().ok_or_else(|| TokenError(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_other_histories_do_not_compare() {
        let token = Token { store: "a1".into(), epoch: 3, position: 99 };
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        let later = Token { position: 100, ..token.clone() };
        assert_eq!(token.seen_by(&later), Some(true));
        assert_eq!(later.seen_by(&token), Some(false));
        assert_eq!(token.seen_by(&Token { epoch: 4, ..later }), None);
        assert!("9:8".parse::<Token>().is_err());
    }
}
