//! Names without a bound, within one.

/// Names that one family tells apart.
pub const NAMES_MAX: usize = 1_000;

/// What the names beyond are called together.
pub const OTHER: &str = "_other";

/// `rows` with no more than [`NAMES_MAX`] of them: those of the greatest weight stay, and `merge` folds the rest into
/// one, begun by `other`.
pub fn top<T, W: Ord>(
    mut rows: Vec<T>,
    weight: impl Fn(&T) -> W,
    other: T,
    mut merge: impl FnMut(&mut T, T),
) -> Vec<T> {
    if rows.len() > NAMES_MAX {
        // Stable: of equals the same stay each time, as long as they come in the same order.
        rows.sort_by_key(|row| std::cmp::Reverse(weight(row)));
        let mut folded = other;
        rows.drain(NAMES_MAX..).for_each(|row| merge(&mut folded, row));
        rows.push(folded);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_matter_least_become_one() {
        let few: Vec<u64> = (0..10).collect();
        assert_eq!(top(few.clone(), |row| *row, 0, |sum, row| *sum += row), few);
        let many: Vec<u64> = (0..2_000).collect();
        let shown = top(many, |row| *row, 0, |sum, row| *sum += row);
        assert_eq!(shown.len(), NAMES_MAX + 1);
        assert_eq!((shown[0], shown[NAMES_MAX - 1]), (1_999, 1_000));
        assert_eq!(shown[NAMES_MAX], (0..1_000).sum::<u64>());
    }
}
