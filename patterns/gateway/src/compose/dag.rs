//! Who waits for whom: levels, or the circle that there is.

/// The level of each of the nodes, where `waits[n]` are those that `n` waits for: 0 for who waits for nobody, and else one
/// more than the highest of those. All of one level could go at the same time.
///
/// An error is a circle: each waits for the next, and the last for the first.
pub(super) fn levels(waits: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut level: Vec<Option<usize>> = vec![None; waits.len()];
    // Each round settles at least one, or there is a circle among the rest.
    for _ in 0..waits.len() {
        for at in 0..waits.len() {
            let below = waits[at].iter().map(|of| level[*of].map(|level| level + 1));
            if level[at].is_none() {
                level[at] =
                    below.collect::<Option<Vec<usize>>>().map(|below| below.into_iter().max().unwrap_or(0));
            }
        }
    }
    match level.iter().position(Option::is_none) {
        None => Ok(level.into_iter().flatten().collect()),
        Some(open) => Err(circle(waits, &level, open)),
    }
}

/// Walks from `at` along nodes without a level. Each of them waits for another such one, so the walk must meet itself.
fn circle(waits: &[Vec<usize>], level: &[Option<usize>], mut at: usize) -> Vec<usize> {
    let mut walk = Vec::new();
    loop {
        if let Some(from) = walk.iter().position(|seen| *seen == at) {
            return walk.split_off(from);
        }
        walk.push(at);
        match waits[at].iter().find(|of| level[**of].is_none()) {
            Some(next) => at = *next,
            None => return walk,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any graph of up to nine nodes; each bit is an arrow.
    fn graph() -> impl Strategy<Value = Vec<Vec<usize>>> {
        (1usize..10).prop_flat_map(|count| {
            let arrows = proptest::collection::vec(proptest::bool::weighted(0.2), count * count);
            arrows.prop_map(move |arrows| {
                let waits = |at: usize| (0..count).filter(|of| arrows[at * count + of]).collect();
                (0..count).map(waits).collect()
            })
        })
    }

    proptest! {
        /// Levels are right, and as low as can be; or what is called a circle is one.
        #[test]
        fn there_are_levels_or_there_is_a_circle(waits in graph()) {
            match levels(&waits) {
                Ok(levels) => {
                    for (at, of) in waits.iter().enumerate() {
                        let lowest = of.iter().map(|of| levels[*of] + 1).max().unwrap_or(0);
                        prop_assert_eq!(levels[at], lowest);
                    }
                }
                Err(circle) => {
                    prop_assert!(!circle.is_empty());
                    let next = circle.iter().cycle().skip(1);
                    for (at, next) in circle.iter().zip(next) {
                        prop_assert!(waits[*at].contains(next), "{} does not wait for {}", at, next);
                    }
                }
            }
        }

        /// Whoever waits only for those before it is never refused.
        #[test]
        fn what_has_an_order_has_levels(waits in graph()) {
            let keep = |(at, of): (usize, &Vec<usize>)| of.iter().copied().filter(|of| *of < at).collect();
            let ordered: Vec<Vec<usize>> = waits.iter().enumerate().map(keep).collect();
            prop_assert!(levels(&ordered).is_ok());
        }
    }
}
