//! How long things took, in little memory and with a known error.

/// Bits of a value that are kept: two values in one place differ by less than one part in 128.
const BITS: u32 = 7;
/// Values from here on are counted as this one: 18 minutes, in nanoseconds.
const MAX: u64 = (1 << 40) - 1;
const PLACES: usize = (40 - BITS as usize + 1) << BITS;

/// Counts of nanoseconds: every power of two is divided into 128 places of the same width.
pub(crate) struct Histogram {
    places: Box<[u64]>,
    count: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { places: vec![0; PLACES].into(), count: 0 }
    }

    pub(crate) fn add(&mut self, nanos: u64) {
        self.places[place(nanos.min(MAX))] += 1;
        self.count += 1;
    }

    /// The value that a share of all values, between 0 and 1, does not exceed: the largest that its place stands for.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let wanted = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (place, count) in self.places.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return largest(place);
            }
        }
        0
    }
}

fn place(nanos: u64) -> usize {
    let shift = (64 - nanos.leading_zeros()).saturating_sub(BITS + 1);
    // The highest bit of a shifted value is the one that the number of the power stands for.
    ((shift as usize) << BITS) + (nanos >> shift) as usize
}

fn largest(place: usize) -> u64 {
    let shift = (place >> BITS).saturating_sub(1);
    let first = place - (shift << BITS);
    ((first as u64 + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_again_within_one_part_in_128() {
        let mut before = None;
        for nanos in (0..5_000).chain((0..40).map(|bit| (1 << bit) + 12_345)).chain([MAX]) {
            let (place, found) = (place(nanos), largest(place(nanos)));
            assert!(place < PLACES && found >= nanos && found - nanos <= nanos / 128, "{nanos} is {found}");
            if nanos < 5_000 {
                assert!(before.is_none_or(|before| before == place || before + 1 == place), "{nanos}");
                before = Some(place);
            }
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::new();
        (1..=1_000u64).for_each(|micros| histogram.add(micros * 1_000));
        for (share, micros) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let found = histogram.quantile(share) as f64 / 1e3;
            assert!((found / micros - 1.0).abs() < 0.01, "{share}: {found}");
        }
    }
}
