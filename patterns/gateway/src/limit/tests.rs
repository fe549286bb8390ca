//! Limits, without a clock.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::keyed::{Keyed, Used};
use super::local::Local;
use super::*;

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

/// The other form of the algorithm that the ATM Forum gives: a bucket that leaks. Both must always agree.
struct Bucket {
    interval: u128,
    limit: u128,
    content: u128,
    last: u128,
}

impl Bucket {
    fn take(&mut self, now: u64) -> bool {
        let left = self.content.saturating_sub(u128::from(now) - self.last);
        if left > self.limit {
            return false;
        }
        (self.content, self.last) = (left + self.interval, u128::from(now));
        true
    }
}

proptest! {
    #[test]
    fn virtual_scheduling_and_a_leaking_bucket_agree(
        count in 1u32..2000,
        seconds in 1u64..100,
        burst in 1u32..50,
        steps in prop::collection::vec(0u64..3_000_000_000, 1..400),
    ) {
        let gcra = Gcra::new(rate(&format!("{count}/{seconds}s")), burst);
        let interval = u128::from(gcra.interval());
        let mut bucket = Bucket { interval, limit: interval * u128::from(burst - 1), content: 0, last: 0 };
        let (mut now, mut tat) = (0, 0);
        let (cell, mut passed) = (Cell::default(), Vec::new());
        for step in steps {
            now += step;
            let room = gcra.room(tat, now);
            let (decision, next) = gcra.decide(tat, now);
            prop_assert_eq!(decision.passes, bucket.take(now));
            prop_assert_eq!(cell.take(&gcra, now), decision);
            prop_assert_eq!(decision.passes, room > 0);
            if decision.passes {
                prop_assert_eq!(decision.remaining, room - 1);
                passed.push(now);
            } else {
                // Who waits as long as is said passes, and not a nanosecond earlier.
                let again = now + u64::try_from(decision.retry_after.as_nanos()).unwrap();
                prop_assert!(gcra.decide(next, again).0.passes && !gcra.decide(next, again - 1).0.passes);
            }
            tat = next;
        }
        // In any stretch of time, no more than the burst and what the rate gives.
        for (at, from) in passed.iter().enumerate() {
            for (more, to) in passed[at..].iter().enumerate() {
                let most = u128::from(burst) + u128::from(to - from) / interval;
                prop_assert!((more as u128) < most, "{} between {from} and {to}", more + 1);
            }
        }
    }
}

#[test]
fn threads_together_take_no_more_than_there_is() {
    let gcra = Gcra::new(rate("100/1m"), 100);
    let cell = Cell::default();
    let passed: usize = thread::scope(|scope| {
        let take = || (0..1000).filter(|_| cell.take(&gcra, 7).passes).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 100);
}

#[test]
fn each_key_has_a_budget_of_its_own() {
    let epoch = Instant::now();
    let local = Local::new(Gcra::new(rate("60/1m"), 2), 1000, epoch);
    let take = |key: KeyOf<'_>, after: u64| local.take(&key, epoch + Duration::from_secs(after)).passes;
    for key in [KeyOf::Consumer("a"), KeyOf::Consumer("b"), KeyOf::Text("a".into()), KeyOf::Whole] {
        assert!(take(key.clone(), 5) && take(key.clone(), 5) && !take(key.clone(), 5), "{key:?}");
        assert!(take(key.clone(), 6) && !take(key, 6));
    }
}

#[test]
fn the_key_that_used_least_is_forgotten_first_and_the_number_is_bounded() {
    let states: Keyed<u64> = Keyed::new(320);
    let add = |key: u32, until: u64| states.with(&key, 10, || 0, |tat| *tat = until);
    let kept = |key: u32| states.with(&key, 10, || 0, |tat| *tat);
    add(0, 1_000_000);
    for key in 1..10_000 {
        add(key, 11 + u64::from(key));
    }
    assert!(states.len() <= 320, "{}", states.len());
    assert_eq!(kept(0), 1_000_000, "who used most is remembered");
}

#[test]
fn a_full_table_is_not_looked_through_for_each_new_key() {
    struct Watched(u64, Arc<AtomicUsize>);
    impl Used for Watched {
        fn used_until(&self) -> u64 {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0
        }
    }
    let looks = Arc::new(AtomicUsize::new(0));
    let states: Keyed<Watched> = Keyed::new(32_000);
    for key in 0..100_000u32 {
        states.with(&key, 10, || Watched(1_000_000 + u64::from(key), looks.clone()), |_| ());
    }
    assert!(states.len() <= 32_000, "{}", states.len());
    let each = looks.load(Ordering::Relaxed) / 100_000;
    assert!(each < 20, "{each} looks for each key");
}

#[test]
fn what_a_client_is_told_is_a_structured_field() {
    let told = |rate_text: &str, decision: Decision| {
        let policy = super::Policy::new("con\"su\\mér", rate(rate_text));
        fields(&[(&policy, decision)])
    };
    let gcra = Gcra::new(rate("100/1m"), 20);
    let (decision, tat) = gcra.decide(0, 0);
    let text = |fields: &[(&str, &str)]| -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    };
    let owned = |fields: Vec<(&'static str, String)>| -> Vec<(String, String)> {
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    };
    assert_eq!(
        owned(told("100/1m", decision)),
        text(&[("ratelimit-policy", "\"consumr\";q=100;w=60"), ("ratelimit", "\"consumr\";r=19;t=1")])
    );
    let mut used = tat;
    for _ in 0..19 {
        used = gcra.decide(used, 0).1;
    }
    let (refused, _) = gcra.decide(used, 0);
    assert_eq!(
        owned(told("5/500ms", refused)),
        text(&[
            ("ratelimit-policy", "\"consumr\";q=5"),
            ("ratelimit", "\"consumr\";r=0;t=12"),
            ("retry-after", "1")
        ])
    );
    assert!(fields(&[]).is_empty());
}

#[test]
fn rates_are_written_in_one_way_and_mistakes_say_which() {
    for (text, interval) in
        [("100/1m", 600_000_000), ("5/s", 200_000_000), ("3/1s", 333_333_334), ("1/1d", 86_400_000_000_000)]
    {
        let rate = rate(text);
        assert_eq!(rate.interval_nanos(), interval, "{text}");
        assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
    }
    for text in ["", "100", "100/", "0/1s", "-1/1s", "1/0s", "1/1y", "1.5/1s", "2000000/1s", "1/40d"] {
        assert!(text.parse::<Rate>().is_err(), "{text}");
    }
    let read = serde_json::from_value::<LimitOptions>(json!({ "rate": "100 per minute" }));
    assert!(read.unwrap_err().to_string().contains("is no rate such as `100/1m`"));
}

#[test]
fn options_read_as_a_user_writes_them() {
    let read: LimitOptions = serde_json::from_value(json!({
        "rate": "100/1m", "per": "consumer", "burst": 20, "shared": true, "on-store-loss": "deny", "sync": "100ms"
    }))
    .unwrap();
    assert_eq!((read.per, read.on_store_loss), (Per::Consumer, OnStoreLoss::Deny));
    let read: LimitOptions =
        serde_json::from_value(json!({ "rate": "1/s", "per": { "claim": "tenant" } })).unwrap();
    assert_eq!(read.per, Per::Claim("tenant".into()));
    assert!(serde_json::from_value::<LimitOptions>(json!({ "rate": "1/s", "brust": 3 })).is_err());
}

#[test]
fn the_last_places_are_for_what_matters_most() {
    let shedder = Shedder::new(&serde_json::from_value(json!({ "in-flight": 10 })).unwrap());
    let mut inside = Vec::new();
    let mut fill = |priority| {
        let before = inside.len();
        while let Some(permit) = shedder.enter(priority) {
            inside.push(permit);
        }
        inside.len() - before
    };
    assert_eq!((fill(Priority::Low), fill(Priority::Normal), fill(Priority::High)), (5, 4, 1));
    assert!(shedder.enter(Priority::High).is_none());
    inside.truncate(3);
    assert!(shedder.enter(Priority::Low).is_some());
    assert_eq!(Arc::strong_count(&shedder), 4, "three places are taken");
}
