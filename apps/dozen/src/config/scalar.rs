//! The small languages of single values: durations, ranges, sizes, addresses; read, and written back.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use dozen_core::Timestamp;
use dozen_messaging::Start;

const DURATION_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZE_UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("kB", 1_000),
    ("B", 1),
];
/// Longer than any wait that is meant (ten years), short enough that sums of moments never overflow.
const DURATION_MAX: u64 = 3650 * 86_400_000;

/// `250ms`, `30s`, `5m`, `2h`, `7d`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let millis = with_unit(text, &DURATION_UNITS)?;
    (millis <= DURATION_MAX).then(|| Duration::from_millis(millis))
}

/// `1s..5m`, the lower bound first.
pub(crate) fn range(text: &str) -> Option<(Duration, Duration)> {
    let (first, last) = text.split_once("..")?;
    let (first, last) = (duration(first.trim())?, duration(last.trim())?);
    (first <= last).then_some((first, last))
}

/// `4MiB`, `64KB`, `100B`.
pub(crate) fn size(text: &str) -> Option<u64> {
    with_unit(text, &SIZE_UNITS)
}

/// `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`.
pub(crate) fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), whole(port)?.try_into().ok()?)),
        None => text.parse().ok(),
    }
}

/// A whole number, in digits and nothing else; `_` may group them.
pub(crate) fn whole(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let shaped = text.starts_with(|c: char| c.is_ascii_digit()) && digits.bytes().all(|b| b.is_ascii_digit());
    shaped.then(|| digits.parse().ok()).flatten()
}

/// How many in a second: above 0, and not more than anybody can mean.
pub(crate) fn rate(text: &str) -> Option<f64> {
    let shaped =
        text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && text.starts_with(|c: char| c != '.');
    let rate: f64 = shaped.then(|| text.parse().ok()).flatten()?;
    (1e-6..=1e9).contains(&rate).then_some(rate)
}

/// Where a reader begins.
pub(crate) fn start(text: &str) -> Option<Start> {
    match text {
        "latest" => Some(Start::Latest),
        "earliest" => Some(Start::Earliest),
        text => match whole(text) {
            Some(position) => Some(Start::After(position)),
            None => Timestamp::parse(text).map(Start::At),
        },
    }
}

/// Where passwords stand in an address such as `postgres://user:password@host/database?password=…`.
pub(crate) fn passwords(address: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let Some(start) = address.find("://").map(|at| at + 3) else { return found };
    // The last `@` ends it: one may stand in a password that nobody encoded. Too much hidden is better than too little.
    let end = address[start..].rfind('@').map_or(start, |at| start + at);
    if let Some(colon) = address[start..end].find(':') {
        found.push(start + colon + 1..end);
    }
    let mut from = end;
    while let Some(at) = address[from..].find("password=").map(|at| from + at + "password=".len()) {
        from = address[at..].find('&').map_or(address.len(), |length| at + length);
        found.push(at..from);
    }
    found.retain(|range| !range.is_empty());
    found
}

/// The address without its passwords.
pub(crate) fn without_passwords(address: &str) -> String {
    let mut shown = address.to_owned();
    for range in passwords(address).into_iter().rev() {
        shown.replace_range(range, "***");
    }
    shown
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_')?;
    let (number, unit) = (whole(&text[..end])?, text[end..].trim_start());
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

/// In the largest unit that is exact.
pub(crate) fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let exact = |(_, factor): &&(&str, u64)| millis > 0 && millis.is_multiple_of(*factor);
    let (unit, factor) = DURATION_UNITS.iter().find(exact).unwrap_or(&("s", 1_000));
    format!("{}{unit}", millis / factor)
}

/// In the largest binary unit that is exact.
pub(crate) fn show_size(bytes: u64) -> String {
    let exact = |(unit, factor): &&(&str, u64)| {
        bytes > 0 && bytes.is_multiple_of(*factor) && (unit.ends_with("iB") || *unit == "B")
    };
    let (unit, factor) = SIZE_UNITS.iter().find(exact).unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / factor)
}

/// Where a service runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Base {
    /// `host:port`.
    pub(crate) address: String,
    /// Whether it begins with `https`.
    pub(crate) is_tls: bool,
}

/// An `http://host:port` or `https://host[:port]` address of a service that runs elsewhere.
pub(crate) fn base_url(text: &str) -> Option<Base> {
    let (rest, is_tls) = match text.strip_prefix("https://") {
        Some(rest) => (rest, true),
        None => (text.strip_prefix("http://")?, false),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let has_port = rest.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let address = if is_tls && !has_port { format!("{rest}:443") } else { rest.to_owned() };
    let (host, port) = address.rsplit_once(':')?;
    let host_is_fine = !host.is_empty()
        && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']'));
    let port: u16 = whole(port)?.try_into().ok()?;
    (host_is_fine && port > 0).then_some(Base { address, is_tls })
}

/// A command line in words, as a shell would cut it: quotes group, a backslash takes the next character as it is.
/// Nothing else of a shell is there: no variable, no pipe, no `&&`.
pub(crate) fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            // A placeholder is one piece, whatever is in it.
            (_, '$') if characters.as_str().starts_with('{') => {
                let word = word.get_or_insert_default();
                word.push('$');
                for c in characters.by_ref() {
                    word.push(c);
                    if c == '}' {
                        break;
                    }
                }
            }
            (None | Some('"'), '\\') => match characters.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err("ends with a backslash"),
            },
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("has a quote that is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_and_written_back() {
        for text in ["250ms", "30s", "5m", "2h", "7d", "90s", "0s"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
        for text in ["4MiB", "1KiB", "100B", "1500B", "0B"] {
            assert_eq!(show_size(size(text).unwrap()), text);
        }
        assert_eq!(size("64 KB"), Some(64_000));
        for wrong in ["", "s", "30", "30 seconds", "-1s", "1.5s", "99999999999999999999s", "4000000d"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        for wrong in ["5m..1s", "1s", "1s..", "..", "1s-5m"] {
            assert_eq!(range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_password_is_found_wherever_it_stands() {
        for (address, shown) in [
            ("postgres://shop:s3cret@host:5432/db?pool=8", "postgres://shop:***@host:5432/db?pool=8"),
            ("postgres://shop:a@b:c@host/db", "postgres://shop:***@host/db"),
            ("postgres://shop@host/db?password=x&pool=8", "postgres://shop@host/db?password=***&pool=8"),
            ("postgres://a:b@host/db?password=x", "postgres://a:***@host/db?password=***"),
            ("postgres://postgres:postgres@host/postgres", "postgres://postgres:***@host/postgres"),
            ("postgres://shop@host/db", "postgres://shop@host/db"),
            ("postgres://host:5432/db", "postgres://host:5432/db"),
            ("sqlite:shop.db", "sqlite:shop.db"),
        ] {
            assert_eq!(without_passwords(address), shown);
        }
    }

    #[test]
    fn command_lines_are_cut_into_words() {
        assert_eq!(
            words(r#"python  -c "print('a b')" x\ y ''"#).unwrap(),
            ["python", "-c", "print('a b')", "x y", ""]
        );
        assert!(words("echo 'open").is_err());
    }

    #[test]
    fn a_base_url_is_a_host_and_a_port() {
        let base = |address: &str, is_tls| Some(Base { address: address.into(), is_tls });
        assert_eq!(base_url("http://127.0.0.1:9001"), base("127.0.0.1:9001", false));
        assert_eq!(base_url("http://[::1]:9001/"), base("[::1]:9001", false));
        assert_eq!(base_url("https://pay.example"), base("pay.example:443", true));
        assert_eq!(base_url("https://[::1]/"), base("[::1]:443", true));
        assert_eq!(base_url("https://pay.example:8443"), base("pay.example:8443", true));
        for wrong in
            ["127.0.0.1:9001", "http://host", "http://host:0", "https://", "https://a/b", "http://a/b:1"]
        {
            assert_eq!(base_url(wrong), None, "{wrong}");
        }
    }
}
