//! Verified tokens, known again.

use std::time::{Duration, Instant};

use dozen_core::Timestamp;
use proptest::prelude::*;

use super::NOW;
use crate::auth::cache::TokenCache;

fn after(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

#[test]
fn a_token_is_known_until_it_expires_or_the_keys_change() {
    let cache = TokenCache::new(100);
    cache.put(b"a token", 7, 1, after(60));
    assert_eq!(cache.get(b"a token", 1, NOW), Some(7));
    assert_eq!(cache.get(b"a tokem", 1, NOW), None);
    assert_eq!(cache.get(b"a toke", 1, NOW), None);
    assert_eq!(cache.get(b"a token", 1, after(60)), None);
    assert_eq!(cache.get(b"a token", 2, NOW), None, "it was verified with keys that are no more");
}

#[test]
fn what_is_used_stays_and_the_number_is_bounded() {
    let cache = TokenCache::new(640);
    let often = b"one that comes again and again";
    cache.put(often, 0, 0, after(60));
    for number in 1..20_000u32 {
        cache.put(&number.to_le_bytes(), number, 0, after(60));
        assert_eq!(cache.get(often, 0, NOW), Some(0), "after {number} others");
    }
    assert!(cache.len() <= 640, "{}", cache.len());
}

proptest! {
    #[test]
    fn tokens_that_begin_alike_are_not_alike(token in "[a-z.]{1,40}", at in 0usize..40, other in "[A-Z]") {
        let cache = TokenCache::new(10);
        cache.put(token.as_bytes(), (), 0, after(60));
        let at = at % token.len();
        let mut changed = token.clone();
        changed.replace_range(at..=at, &other);
        prop_assert_eq!(cache.get(token.as_bytes(), 0, NOW), Some(()));
        prop_assert_eq!(cache.get(changed.as_bytes(), 0, NOW), None);
    }
}

/// Prints; the bars are measured in a release build.
#[test]
fn how_long_a_known_token_takes() {
    const ROUNDS: u32 = 1000;
    let (cache, token) = (TokenCache::new(1000), "x".repeat(700));
    cache.put(token.as_bytes(), (), 0, after(60));
    let started = Instant::now();
    for _ in 0..ROUNDS {
        assert!(cache.get(token.as_bytes(), 0, NOW).is_some());
    }
    println!("700 bytes: {:?} for each hit", started.elapsed() / ROUNDS);
}
