//! Two sequences that are sorted by the same key, side by side.

use std::cmp::Ordering;
use std::iter::Peekable;

/// For each key that stands in one of them or in both, in its order: what stands there on either side.
pub(super) fn joined<'k, T: Copy>(
    left: impl Iterator<Item = T>,
    right: impl Iterator<Item = T>,
    key: impl Fn(T) -> &'k str,
) -> impl Iterator<Item = (Option<T>, Option<T>)> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    std::iter::from_fn(move || {
        let order = match (peek(&mut left), peek(&mut right)) {
            (None, None) => return None,
            (Some(one), Some(other)) => key(one).cmp(key(other)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
        };
        Some(match order {
            Ordering::Less => (left.next(), None),
            Ordering::Equal => (left.next(), right.next()),
            Ordering::Greater => (None, right.next()),
        })
    })
}

fn peek<T: Copy>(items: &mut Peekable<impl Iterator<Item = T>>) -> Option<T> {
    items.peek().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_comes_once_with_what_either_side_has() {
        let (left, right) = (["a", "b", "d"], ["b", "c"]);
        let all: Vec<_> = joined(left.into_iter(), right.into_iter(), |key| key).collect();
        let one = |key| (Some(key), None);
        let other = |key| (None, Some(key));
        assert_eq!(all, [one("a"), (Some("b"), Some("b")), other("c"), one("d")]);
    }
}
