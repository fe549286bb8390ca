//! Paths that no feature takes: what the move has not thought of yet, found in live traffic.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use dozen_core::Timestamp;

use crate::sketch::{Heavy, Sketch};

/// Templates that are told apart.
const PLACES: usize = 100;
/// Segments of a path that are looked at.
const SEGMENTS_MAX: usize = 12;

/// What no feature takes, as one gateway sees it.
#[derive(Debug)]
pub struct Unmapped {
    seen: Mutex<Sketch>,
    total: AtomicU64,
}

impl Default for Unmapped {
    fn default() -> Self {
        Self { seen: Mutex::new(Sketch::new(PLACES)), total: AtomicU64::new(0) }
    }
}

impl Unmapped {
    /// Notes a request that belongs to no feature and went to the old system. Never waits: when two are noted at the same
    /// moment, one is only counted.
    pub fn note(&self, method: &str, path: &str, now: Timestamp) {
        self.total.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut seen) = self.seen.try_lock() {
            seen.add(&format!("{method} {}", template(path)), 1, 0, now);
        }
    }

    /// Goes on with what was noted before by a process that is gone.
    pub(crate) fn resume(&self, before: &[Heavy]) {
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        before.iter().for_each(|heavy| seen.add(&heavy.name, heavy.count, heavy.over, heavy.last));
    }

    /// How many this process has noted.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// The templates that weigh most, heaviest first.
    pub fn heaviest(&self) -> Vec<Heavy> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).heaviest()
    }
}

/// The template that a path was probably made of: segments that look like ids become `{id}`.
pub fn template(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or("");
    let mut template = String::new();
    for (at, segment) in path.split('/').skip(1).enumerate() {
        if at == SEGMENTS_MAX {
            template.push_str("/{*rest}");
            break;
        }
        template.push('/');
        template.push_str(if is_id(segment) { "{id}" } else { segment });
    }
    if template.is_empty() { "/".into() } else { template }
}

/// Numbers, UUIDs, long hexadecimal texts, and mixtures of letters and digits that no person would choose as a word.
fn is_id(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let others =
        segment.bytes().filter(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_')).count();
    let is_hex = segment.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let is_version = segment.len() <= 4 && segment.starts_with(['v', 'V']);
    match segment.len() {
        0 => false,
        _ if digits == segment.len() => true,
        _ if segment.contains('@') || segment.contains('%') => true,
        _ if others > 0 || is_version => false,
        length => {
            (is_hex && length >= 16) || (digits >= 4 && digits * 3 >= length) || (length >= 20 && digits >= 2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_their_place_and_words_stay() {
        for (path, expected) in [
            ("/", "/"),
            ("/orders/17", "/orders/{id}"),
            ("/orders/17/lines/3?x=1", "/orders/{id}/lines/{id}"),
            ("/v2/users/550e8400-e29b-41d4-a716-446655440000", "/v2/users/{id}"),
            ("/users/ann@example.com", "/users/{id}"),
            ("/files/deadbeefdeadbeef", "/files/{id}"),
            ("/orders/ORD-2024-00017", "/orders/{id}"),
            ("/old-shop/index.aspx", "/old-shop/index.aspx"),
            ("/reports/top10", "/reports/top10"),
        ] {
            assert_eq!(template(path), expected);
        }
        assert!(template(&"/a".repeat(50)).ends_with("/{*rest}"));
    }

    #[test]
    fn the_heaviest_paths_are_found() {
        let unmapped = Unmapped::default();
        for at in 0..1_000 {
            unmapped.note("GET", &format!("/orders/{at}"), Timestamp(at));
            unmapped.note("GET", &format!("/page-{}", (at * 7919) % 211), Timestamp(at));
        }
        let heaviest = unmapped.heaviest();
        assert_eq!((heaviest[0].name.as_str(), heaviest[0].count), ("GET /orders/{id}", 1_000));
        assert_eq!((unmapped.total(), heaviest.len()), (2_000, PLACES));
    }
}
