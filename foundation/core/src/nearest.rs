//! The names that somebody may have meant.

/// Up to three of `known` that are near enough to `name` to be a slip of the keyboard, nearest first.
///
/// Near enough is an edit distance of a third of the longer name, and two at least.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (name.len().max(candidate.len()) / 3).max(2))
        .collect();
    near.sort();
    near.into_iter().take(3).map(|(_, candidate)| candidate.to_owned()).collect()
}

/// How many characters must be added, removed or changed to make one name of the other (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let changed = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let known = ["orders", "invoices", "stock"];
        assert_eq!(nearest("ordres", known), ["orders"]);
        assert_eq!(nearest("invoice", known), ["invoices"]);
        assert!(nearest("customers", known).is_empty());
        assert_eq!(distance("", "abc"), 3);
    }
}
