//! Moments, spans and numbers in the form in which people read them.

use std::time::Duration;

use dozen_core::Timestamp;

/// `2026-09-21 14:13:20.123`, in UTC as everywhere on the console.
pub(crate) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    match text.split_once('T') {
        Some((day, time)) => format!("{day} {}", time.get(..12).unwrap_or(time)),
        None => text,
    }
}

/// Two units at most: `850 µs`, `12.4 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`. Its spaces do not break.
pub(crate) fn span(span: Duration) -> String {
    breaking(span).replace(' ', "\u{a0}")
}

fn breaking(span: Duration) -> String {
    let micros = span.as_micros();
    let seconds = span.as_secs();
    let pair = |big: u64, unit: &str, small: u64, rest: &str| match small {
        0 => format!("{big} {unit}"),
        _ => format!("{big} {unit} {small} {rest}"),
    };
    let decimal = |value: f64, unit: &str| {
        let text = if value < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") };
        format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
    };
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..999_500 => decimal(micros as f64 / 1e3, "ms"),
        999_500..59_950_000 => decimal(micros as f64 / 1e6, "s"),
        _ if seconds < 60 => "59 s".to_owned(), // so near to a minute that one decimal would say 60.0
        _ if seconds < 3_600 => pair(seconds / 60, "min", seconds % 60, "s"),
        _ if seconds < 86_400 => pair(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// How far `at` is from `origin`: `+3 ms`, `−1.2 s`, `0`.
pub(crate) fn offset(at: Timestamp, origin: Timestamp) -> String {
    match at.0.cmp(&origin.0) {
        std::cmp::Ordering::Less => format!("−{}", span(origin.since(at))),
        std::cmp::Ordering::Equal => "0".to_owned(),
        std::cmp::Ordering::Greater => format!("+{}", span(at.since(origin))),
    }
}

/// How long ago `at` was, or in how long it will be, in whole seconds below a minute: for what changes by itself.
pub(crate) fn age(at: Timestamp, now: Timestamp) -> String {
    let rough = |span: Duration| match span.as_secs() {
        0 => "less than 1 s".to_owned(),
        seconds @ 1..60 => format!("{seconds} s"),
        _ => self::span(span),
    };
    if at > now { format!("in {}", rough(at.since(now))) } else { format!("{} ago", rough(now.since(at))) }
}

/// `12 345 678`, with thin spaces that do not break.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `1 message`, `2 messages`.
pub(crate) fn count(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

/// Percent-encoded, to stand as one segment of a path or one value of a query.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well_at_every_size() {
        for (micros, text) in [
            (0, "0 µs"),
            (850, "850 µs"),
            (3_000, "3 ms"),
            (12_430, "12.4 ms"),
            (999_400, "999 ms"),
            (999_700, "1 s"),
            (3_210_000, "3.2 s"),
            (59_960_000, "59 s"),
            (250_000_000, "4 min 10 s"),
            (7_500_000_000, "2 h 5 min"),
            (273_600_000_000, "3 d 4 h"),
        ] {
            assert_eq!(breaking(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn offsets_have_a_sign() {
        assert_eq!(offset(Timestamp(4_000), Timestamp(1_000)), "+3\u{a0}ms");
        assert_eq!(offset(Timestamp(1_000), Timestamp(4_000)), "−3\u{a0}ms");
        assert_eq!(offset(Timestamp(1), Timestamp(1)), "0");
        assert_eq!(moment(Timestamp(1_790_000_000_123_456)), "2026-09-21 14:13:20.123");
        assert_eq!(moment(Timestamp::NEVER), "never");
    }

    #[test]
    fn numbers_are_grouped_and_names_encoded() {
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(number(123), "123");
        assert_eq!(encode("a/b ü?"), "a%2Fb%20%C3%BC%3F");
    }
}
