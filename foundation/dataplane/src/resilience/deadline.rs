//! How much time a caller still gives, told from one service to the next.
//!
//! A service that works on for a caller who has given up works for nobody. The time left travels as a relative number,
//! because two machines' clocks agree on a duration and not on a moment; the time on the wire is not counted. A client
//! may send the header, too: it can only shorten what the route allows.

use std::time::Duration;

use crate::framing::decimal;

/// The header: whole milliseconds that are left from the moment of sending.
pub const HEADER: &str = "dozen-deadline";
/// gRPC's own: at most eight digits and a unit.
pub const GRPC_HEADER: &str = "grpc-timeout";

/// The time that the caller gives: the shorter one where both headers are there. What cannot be read is not there.
pub fn read(own: Option<&[u8]>, grpc: Option<&[u8]>) -> Option<Duration> {
    shorter(own.and_then(|value| number(value, 15)).map(Duration::from_millis), grpc.and_then(read_grpc))
}

/// The shorter of two limits of which each may be missing.
pub fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

/// What is left of a limit: `None` without one, zero when it has passed.
pub fn left(limit: Option<Duration>, elapsed: Duration) -> Option<Duration> {
    limit.map(|limit| limit.saturating_sub(elapsed))
}

/// Appends the value of [`HEADER`]. Rounded down, so that the next one ends first.
pub fn write(left: Duration, out: &mut Vec<u8>) {
    decimal(u64::try_from(left.as_millis()).unwrap_or(u64::MAX).min(999_999_999_999_999), out);
}

/// Appends the value of [`GRPC_HEADER`], in the finest unit of which eight digits are enough. Rounded down.
pub fn write_grpc(left: Duration, out: &mut Vec<u8>) {
    let nanos = left.as_nanos();
    let units = [(1, b'n'), (1_000, b'u'), (1_000_000, b'm'), (1_000_000_000, b'S'), (60_000_000_000, b'M')];
    let fits = units.iter().find(|(unit, _)| nanos / unit < 100_000_000);
    let (unit, letter) = fits.copied().unwrap_or((3_600_000_000_000, b'H'));
    decimal(u64::try_from(nanos / unit).unwrap_or(u64::MAX).min(99_999_999), out);
    out.push(letter);
}

fn read_grpc(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    let number = number(digits, 8)?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// Digits and nothing else, so many at most.
fn number(digits: &[u8], digits_max: usize) -> Option<u64> {
    if digits.len() > digits_max || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn both_headers_are_read_and_the_shorter_one_holds() {
        let check = |own: Option<&str>, grpc: Option<&str>, millis: Option<u64>| {
            let read = read(own.map(str::as_bytes), grpc.map(str::as_bytes));
            assert_eq!(read, millis.map(Duration::from_millis), "{own:?} {grpc:?}");
        };
        check(None, None, None);
        check(Some("250"), None, Some(250));
        check(None, Some("2S"), Some(2000));
        check(None, Some("1H"), Some(3_600_000));
        check(None, Some("250000u"), Some(250));
        check(Some("300"), Some("100m"), Some(100));
        check(Some("100"), Some("1M"), Some(100));
        for wrong in ["", "-1", "+1", "1.5", "soon", "1234567890123456"] {
            check(Some(wrong), None, None);
        }
        for wrong in ["", "S", "10", "123456789S", "1s", "-1S"] {
            check(None, Some(wrong), None);
        }
    }

    #[test]
    fn what_is_left_is_never_negative() {
        let second = Duration::from_secs(1);
        assert_eq!(left(None, second), None);
        assert_eq!(left(Some(second), second / 4), Some(second * 3 / 4));
        assert_eq!(left(Some(second), second * 2), Some(Duration::ZERO));
        assert_eq!(text(|out| write(second * 3 / 4, out)), "750");
        assert_eq!(text(|out| write_grpc(second * 100, out)), "100000m");
    }

    proptest! {
        /// What is written reads as no more, and as little less as the unit allows.
        #[test]
        fn what_is_written_is_read(nanos in 0u64..u64::MAX / 2) {
            let limit = Duration::from_nanos(nanos);
            let own = text(|out| write(limit, out));
            let read_own = read(Some(own.as_bytes()), None).unwrap();
            prop_assert!(read_own <= limit && limit - read_own < Duration::from_millis(1));
            let grpc = text(|out| write_grpc(limit, out));
            let read_grpc = read(None, Some(grpc.as_bytes())).unwrap();
            prop_assert!(read_grpc <= limit && (limit - read_grpc).as_nanos() <= limit.as_nanos() / 100_000, "{}", grpc);
        }
    }
}
