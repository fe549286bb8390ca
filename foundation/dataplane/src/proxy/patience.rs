//! How long somebody is waited for who sends or takes a body.

use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderMap, header};

/// How fast a client has to send a body, and to take one.
///
/// Each byte that it moves buys it time, and each wait for it costs some; whoever has none left is too slow. So only the time
/// counts in which nobody else is waited for, and who pauses after much is not taken for one who never gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyRate {
    /// Bytes a second, on the average.
    pub bytes_per_second_min: NonZeroU32,
    /// The time that each body begins with.
    pub grace: Duration,
}

impl BodyRate {
    /// The usual one: 240 bytes a second, after five seconds.
    pub const USUAL: Self = Self {
        bytes_per_second_min: NonZeroU32::new(240).expect("240 is not zero"),
        grace: Duration::from_secs(5),
    };
}

/// What is left of the time of one body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    rate: Option<BodyRate>,
    /// Nobody is waited for longer than this for the next piece, and nobody can save up more.
    most: Duration,
    left: Duration,
}

impl Patience {
    /// Without a rate each wait may be as long as the one before.
    pub(super) fn new(rate: Option<BodyRate>, most: Duration) -> Self {
        let left = rate.map_or(most, |rate| rate.grace.min(most));
        Self { rate, most, left }
    }

    /// How long a wait may be.
    pub(super) fn left(&self) -> Duration {
        self.left
    }

    /// These bytes came, or are about to go.
    pub(super) fn moved(&mut self, bytes: usize) {
        if let Some(rate) = self.rate {
            let bought = bytes as u64 * 1000 / u64::from(rate.bytes_per_second_min.get());
            self.left = self.left.saturating_add(Duration::from_millis(bought)).min(self.most);
        }
    }

    /// They were waited for.
    pub(super) fn waited(&mut self, wait: Duration) {
        if self.rate.is_some() {
            self.left = self.left.saturating_sub(wait);
        }
    }
}

/// Whether a body with such a head may say little for long: events, and calls of gRPC and its kin.
pub(super) fn is_stream(content_type: &[u8]) -> bool {
    let begins = |with: &str| {
        content_type.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
    };
    ["text/event-stream", "application/grpc", "application/connect+"].into_iter().any(begins)
}

/// The same of a head that is a map.
pub(super) fn streams(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| is_stream(kind.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn patience() -> Patience {
        Patience::new(Some(BodyRate::USUAL), 300 * SECOND)
    }

    #[test]
    fn a_byte_a_second_lasts_little_longer_than_the_grace() {
        let mut one = patience();
        let seconds = (1..).find(|_| {
            one.waited(SECOND);
            one.moved(1);
            one.left() < Duration::from_millis(100)
        });
        assert_eq!(seconds, Some(5));
    }

    #[test]
    fn who_keeps_the_rate_is_never_too_slow_however_it_is_cut_up() {
        for (wait, bytes) in [(1, 241), (4, 961), (60, 14_401)] {
            let mut one = patience();
            one.moved(14_401);
            for _ in 0..1000 {
                one.waited(wait * SECOND);
                assert!(!one.left().is_zero(), "{bytes} bytes in {wait} s");
                one.moved(bytes);
            }
        }
    }

    #[test]
    fn nobody_saves_up_more_than_the_longest_wait() {
        let mut one = patience();
        one.moved(usize::try_from(1_u64 << 40).unwrap());
        assert_eq!(one.left(), 300 * SECOND);
        let mut without = Patience::new(None, SECOND);
        without.waited(1000 * SECOND);
        assert_eq!(without.left(), SECOND, "without a rate each wait is for itself");
    }

    #[test]
    fn streams_are_known_by_what_they_say_of_themselves() {
        for kind in [
            "text/event-stream; charset=utf-8",
            "application/grpc+proto",
            "Text/Event-Stream",
            "application/grpc-web",
        ] {
            assert!(is_stream(kind.as_bytes()), "{kind}");
        }
        for kind in ["text/html", "application/json", ""] {
            assert!(!is_stream(kind.as_bytes()), "{kind}");
        }
    }
}
