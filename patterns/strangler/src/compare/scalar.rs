//! When two numbers, times or texts are the same.

use std::time::Duration;

use dozen_core::Timestamp;

/// A decimal number without its accidents: no leading or trailing zeros, the exponent of the last digit.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// Of a number as JSON writes it.
    fn of(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent = exponent
            .trim_start_matches('+')
            .parse::<i64>()
            .unwrap_or(if exponent.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 });
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = whole.bytes().chain(part.bytes()).skip_while(|digit| *digit == b'0').collect();
        let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
        let digits = digits[..digits.len() - zeros].to_vec();
        if digits.is_empty() {
            return Self { negative: false, digits, exponent: 0 };
        }
        Self { negative, digits, exponent: exponent.saturating_add(zeros as i64 - part.len() as i64) }
    }
}

/// Whether two JSON numbers are the same number, to the last digit: `1`, `1.0` and `10e-1` are.
pub(crate) fn same_number(old: &str, new: &str) -> bool {
    old == new || Decimal::of(old) == Decimal::of(new)
}

/// How far two RFC 3339 times are apart; `None` when one of them is none.
pub(crate) fn apart(old: &str, new: &str) -> Option<Duration> {
    let (old, new) = (Timestamp::parse(old)?, Timestamp::parse(new)?);
    Some(old.since(new).max(new.since(old)))
}

/// `text` with `by` for each `host` that stands alone, whatever its case: not as a part of a longer name.
pub(crate) fn replace_host(text: &str, host: &str, by: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    if host.is_empty() {
        return text.to_owned();
    }
    while let Some(found) = lower[from..].find(host) {
        let (begin, end) = (from + found, from + found + host.len());
        let part_of_name = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        };
        let bytes = lower.as_bytes();
        let alone = !part_of_name(begin.checked_sub(1).and_then(|before| bytes.get(before)))
            && !part_of_name(bytes.get(end));
        out.push_str(&text[from..begin]);
        out.push_str(if alone { by } else { &text[begin..end] });
        from = end;
    }
    out.push_str(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        for (one, other) in [("1", "1.0"), ("10", "1e1"), ("0.10", "1e-1"), ("-0", "0.0"), ("1200", "1.2E+3")]
        {
            assert!(same_number(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("12345678901234567", "12345678901234568"),
            ("0.1", "0.10000000000000001"),
            ("1", "-1"),
            ("1e999999999999999999999", "1"),
            ("1e-99999999999999999999", "1e99999999999999999999"),
        ] {
            assert!(!same_number(one, other), "{one} {other}");
        }
    }

    #[test]
    fn times_are_apart_whatever_their_zone() {
        let apart = |old, new| apart(old, new);
        assert_eq!(apart("2026-01-01T00:00:00Z", "2026-01-01T01:00:02+01:00"), Some(Duration::from_secs(2)));
        assert_eq!(apart("2026-01-01", "yesterday"), None);
    }

    #[test]
    fn a_host_is_replaced_where_it_stands_alone() {
        let text = "http://Old.example/x https://old.example:80/ old.example.org not-old.example old.example";
        assert_eq!(
            replace_host(text, "old.example", "H"),
            "http://H/x https://H:80/ old.example.org not-old.example H"
        );
    }

    proptest! {
        #[test]
        fn floats_agree_where_they_are_exact(number in -1_000_000i64..1_000_000, zeros in 0usize..4) {
            let (plain, padded) = (number.to_string(), format!("{number}.{}", "0".repeat(zeros + 1)));
            prop_assert!(same_number(&plain, &padded));
            prop_assert!(!same_number(&plain, &(number + 1).to_string()));
        }
    }
}
