//! Latencies, counted in classes: bounded, and added up across gateways.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Classes in an octave: a class is 4.4 % wide.
const PER_OCTAVE: usize = 16;
/// From 64 µs to 67 s.
const CLASSES: usize = 20 * PER_OCTAVE + 1;
const LOWEST: f64 = 64e-6;

/// How many classes there are.
pub(crate) const CLASS_COUNT: usize = CLASSES;

/// The class of a latency.
pub(crate) fn class_of(latency: Duration) -> usize {
    let octaves = (latency.as_secs_f64() / LOWEST).log2();
    // The cast saturates: what is shorter than the lowest is in the first class.
    ((octaves * PER_OCTAVE as f64).max(0.0) as usize).min(CLASSES - 1)
}

/// The lower end of a class, in seconds.
fn beginning_of(class: usize) -> f64 {
    LOWEST * (class as f64 / PER_OCTAVE as f64).exp2()
}

/// How often each class was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram(Box<[u64; CLASSES]>);

impl Default for Histogram {
    fn default() -> Self {
        Self(Box::new([0; CLASSES]))
    }
}

impl Histogram {
    /// Counts `times` in a class.
    pub(crate) fn count(&mut self, class: usize, times: u64) {
        if let Some(counted) = self.0.get_mut(class) {
            *counted += times;
        }
    }

    /// Takes over what `other` has counted.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(counted, more)| *counted += more);
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The latency, in seconds, that this part of all stays within: the upper end of its class. `None` when nothing was counted.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let rank = ((self.total() as f64 * part).ceil() as u64).max(1);
        let mut passed = 0;
        let class = self.0.iter().position(|counted| {
            passed += counted;
            passed >= rank
        })?;
        Some(beginning_of(class + 1))
    }

    /// How many were surely longer than so many seconds: those of the classes beyond.
    pub fn beyond(&self, seconds: f64) -> u64 {
        self.0
            .iter()
            .enumerate()
            .filter(|(class, _)| beginning_of(*class) >= seconds)
            .map(|(_, counted)| counted)
            .sum()
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().enumerate().filter(|(_, counted)| **counted > 0))
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut read = Self::default();
        for (class, counted) in Vec::<(usize, u64)>::deserialize(deserializer)? {
            *read
                .0
                .get_mut(class)
                .ok_or_else(|| de::Error::custom("there is no such class of latencies"))? = counted;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_right_to_the_width_of_a_class() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.99), None);
        for millis in 1..=1_000 {
            histogram.count(class_of(Duration::from_millis(millis)), 1);
        }
        let p99 = histogram.quantile(0.99).expect("it has samples");
        assert!((0.99..0.99 * 1.05).contains(&p99), "{p99}");
        assert!((0..=10).contains(&histogram.beyond(p99)), "{}", histogram.beyond(p99));
        let text = serde_json::to_string(&histogram).expect("it is JSON");
        assert_eq!(serde_json::from_str::<Histogram>(&text).expect("it reads what it writes"), histogram);
    }

    #[test]
    fn the_ends_take_what_lies_beyond() {
        assert_eq!(class_of(Duration::ZERO), 0);
        assert_eq!(class_of(Duration::from_secs(3600)), CLASS_COUNT - 1);
    }
}
