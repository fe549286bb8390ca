//! `Cache-Control`, read (RFC 9111 §5.2).

use http::{HeaderMap, header};

/// What either side says of caching. A time is in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directives {
    pub(super) no_store: bool,
    pub(super) no_cache: bool,
    pub(super) private: bool,
    pub(super) public: bool,
    pub(super) must_revalidate: bool,
    pub(super) proxy_revalidate: bool,
    pub(super) only_if_cached: bool,
    pub(super) max_age: Option<u64>,
    pub(super) s_maxage: Option<u64>,
    /// Without a time: however stale.
    pub(super) max_stale: Option<u64>,
    pub(super) min_fresh: Option<u64>,
    pub(super) stale_while_revalidate: Option<u64>,
    pub(super) stale_if_error: Option<u64>,
}

impl Directives {
    /// Those of a head. What is said twice holds in its stricter sense; a time that cannot be read is none left (§4.2.1).
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut read = Self::default();
        // A line with a byte that is no text still says what it says beside that.
        let lines = headers.get_all(header::CACHE_CONTROL).iter();
        let lines: Vec<_> = lines.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        for directive in lines.iter().flat_map(|line| split(line)) {
            let (name, value) = match directive.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
                None => (directive.trim(), None),
            };
            let seconds = || Some(value.and_then(seconds).unwrap_or(0));
            let least = |known: Option<u64>| known.into_iter().chain(seconds()).min();
            match name.to_ascii_lowercase().as_str() {
                "no-store" => read.no_store = true,
                // With names of fields it is about them alone; those are few, and to keep nothing is always right.
                "no-cache" => read.no_cache = true,
                "private" => read.private = true,
                "public" => read.public = true,
                "must-revalidate" => read.must_revalidate = true,
                "proxy-revalidate" => read.proxy_revalidate = true,
                "only-if-cached" => read.only_if_cached = true,
                "max-age" => read.max_age = least(read.max_age),
                "s-maxage" => read.s_maxage = least(read.s_maxage),
                "max-stale" if value.is_none() => read.max_stale = Some(u64::MAX),
                "max-stale" => read.max_stale = seconds(),
                "min-fresh" => read.min_fresh = seconds(),
                "stale-while-revalidate" => read.stale_while_revalidate = least(read.stale_while_revalidate),
                "stale-if-error" => read.stale_if_error = least(read.stale_if_error),
                _ => {}
            }
        }
        read
    }

    /// Those of a request, where `Pragma: no-cache` stands in for none at all (§5.4).
    pub(super) fn of_request(headers: &HeaderMap) -> Self {
        let mut read = Self::of(headers);
        if !headers.contains_key(header::CACHE_CONTROL) {
            let pragma = headers.get(header::PRAGMA).and_then(|value| value.to_str().ok());
            read.no_cache = pragma.is_some_and(|value| value.to_ascii_lowercase().contains("no-cache"));
        }
        read
    }
}

/// At commas that stand in no quotes.
fn split(line: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    line.split(move |character| {
        is_quoted ^= character == '"';
        character == ',' && !is_quoted
    })
}

/// Digits and nothing else; what is too large is as good as for ever (§1.2.2).
pub(super) fn seconds(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX).min(1 << 31))
}
