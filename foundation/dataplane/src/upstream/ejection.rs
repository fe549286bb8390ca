//! An endpoint that keeps failing is left alone for a while: outlier detection.
//!
//! Two signs count: failures in a row, which show an endpoint that is dead, and a ratio of failures, which shows one that
//! is half dead. The n-th ejection lasts n times as long as the first; each time that long without another one forgives one.
//! After an ejection the count of failures in a row stands where it stood, so one more failure ejects again, and one
//! success starts over. Answers to requests from before the ejection change nothing.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::{Moment, micros};
use crate::resilience::Window;

/// When an endpoint that fails is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ejection {
    /// Failures in a row that eject.
    pub failures: u32,
    /// Failures for each hundred requests that eject as well; 0 to look at those in a row only.
    pub failure_percent: u32,
    /// Fewer requests than these in the window make no ratio.
    pub requests_min: u32,
    /// Over how long the ratio is taken.
    #[serde(with = "dozen_core::duration")]
    pub window: Duration,
    /// How long the first time; the n-th ejection lasts n times as long.
    #[serde(with = "dozen_core::duration")]
    pub base: Duration,
    /// No ejection is longer.
    #[serde(with = "dozen_core::duration")]
    pub cap: Duration,
}

impl Default for Ejection {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            failures: 5,
            failure_percent: 50,
            requests_min: 20,
            window: seconds(10),
            base: seconds(10),
            cap: seconds(300),
        }
    }
}

/// How often an endpoint failed, and the ejections that followed.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// In a row.
    failures: AtomicU32,
    window: Window,
    /// Those that are not forgiven.
    ejections: AtomicU32,
    /// The beginning of the last ejection, and its end; 0 if there was none.
    from: AtomicU64,
    until: AtomicU64,
}

impl Record {
    pub(super) fn is_ejected(&self, now: Moment) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until != 0 && now.0 < until
    }

    /// Whether anything is worth remembering when the endpoint leaves the set.
    pub(super) fn is_spotless(&self, now: Moment, rules: &Ejection) -> bool {
        self.failures.load(Ordering::Relaxed) == 0 && self.unforgiven(now, rules) == 0
    }

    /// A request that was sent at `sent` was answered. True if that ended an ejection.
    pub(super) fn succeeded(&self, sent: Moment, now: Moment, rules: &Ejection) -> bool {
        if rules.failure_percent > 0 {
            self.window.add(now, rules.window, 1, 0);
        }
        if sent.0 < self.from.load(Ordering::Relaxed) {
            return false;
        }
        // Reads are shared between cores and writes are not, so the usual case only reads.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        self.readmit(now)
    }

    /// A request failed. True if the endpoint should be left alone.
    pub(super) fn failed(&self, now: Moment, rules: &Ejection) -> bool {
        let in_a_row = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if rules.failure_percent == 0 {
            return in_a_row >= rules.failures;
        }
        self.window.add(now, rules.window, 1, 1);
        let counts = self.window.counts(now, rules.window);
        in_a_row >= rules.failures || counts.reach(rules.failure_percent, rules.requests_min)
    }

    /// Begins an ejection and tells how long it is; `None` if one is under way.
    pub(super) fn eject(&self, now: Moment, rules: &Ejection) -> Option<Duration> {
        let before = self.until.load(Ordering::Relaxed);
        if now.0 < before {
            return None;
        }
        let times = self.unforgiven(now, rules).saturating_add(1);
        let length = rules.base.saturating_mul(times).min(rules.cap);
        let until = now.after(length).0;
        // Of two threads that see the same failure, one ejects.
        self.until.compare_exchange(before, until, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        self.from.store(now.0, Ordering::Relaxed);
        self.ejections.store(times, Ordering::Relaxed);
        Some(length)
    }

    /// Ends an ejection before its time. The count of ejections stays. True if there was one.
    pub(super) fn readmit(&self, now: Moment) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        now.0 < until
            && self.until.compare_exchange(until, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// When the last ejection ended or will end.
    pub(super) fn last_end(&self) -> Option<Moment> {
        let until = self.until.load(Ordering::Relaxed);
        (until != 0).then_some(Moment(until))
    }

    /// Ejections that have not been forgiven.
    pub(super) fn unforgiven(&self, now: Moment, rules: &Ejection) -> u32 {
        let quiet = now.0.saturating_sub(self.until.load(Ordering::Relaxed));
        let forgiven = u32::try_from(quiet / micros(rules.base).max(1)).unwrap_or(u32::MAX);
        self.ejections.load(Ordering::Relaxed).saturating_sub(forgiven)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rules() -> Ejection {
        Ejection { failures: 3, cap: SECOND * 25, ..Ejection::default() }
    }

    #[test]
    fn an_ejection_ends_and_the_next_is_longer_up_to_the_cap() {
        let (record, rules) = (Record::default(), rules());
        let start = Moment(1);
        assert_eq!(record.eject(start, &rules), Some(SECOND * 10));
        assert_eq!(record.eject(start, &rules), None, "it is ejected already");
        assert!(record.is_ejected(start.after(SECOND * 10 - Duration::from_micros(1))));
        let second = start.after(SECOND * 10);
        assert!(!record.is_ejected(second));
        assert_eq!(record.eject(second, &rules), Some(SECOND * 20));
        let third = second.after(SECOND * 20);
        assert_eq!(record.eject(third, &rules), Some(SECOND * 25));
        // Each ten seconds without one forgive one.
        let later = third.after(SECOND * 25).after(SECOND * 20);
        assert_eq!(record.eject(later, &rules), Some(SECOND * 20));
    }

    #[test]
    fn after_an_ejection_one_failure_is_enough_and_one_success_starts_over() {
        let (record, rules) = (Record::default(), rules());
        let start = Moment(1);
        assert_eq!([0; 3].map(|_| record.failed(start, &rules)), [false, false, true]);
        record.eject(start, &rules);
        let back = start.after(SECOND * 10);
        assert!(record.failed(back, &rules));
        assert!(!record.succeeded(back, back, &rules));
        assert!(!record.failed(back, &rules));
    }

    #[test]
    fn an_answer_from_before_the_ejection_changes_nothing_and_one_from_within_ends_it() {
        let (record, rules) = (Record::default(), rules());
        let (sent, start) = (Moment(1), Moment(1_000_000));
        record.failed(start, &rules);
        record.eject(start, &rules);
        let answered = start.after(SECOND);
        assert!(!record.succeeded(sent, answered, &rules) && record.is_ejected(answered));
        assert!(record.succeeded(answered, answered, &rules) && !record.is_ejected(answered));
        assert!(!record.is_spotless(answered, &rules), "the ejection is remembered");
        assert!(record.is_spotless(answered.after(SECOND * 10), &rules));
    }

    #[test]
    fn every_second_request_that_fails_ejects_once_there_are_enough() {
        let (record, rules) = (Record::default(), rules());
        let mut now = Moment(1);
        let mut requests = 0;
        let ejects = loop {
            now = now.after(SECOND / 100);
            requests += 2;
            record.succeeded(now, now, &rules);
            if record.failed(now, &rules) || requests > 100 {
                break requests;
            }
        };
        assert_eq!(ejects, 20);
        // The same, so rarely that no window holds enough of them.
        let record = Record::default();
        for _ in 0..100 {
            now = now.after(SECOND * 2);
            record.succeeded(now, now, &rules);
            assert!(!record.failed(now, &rules));
        }
    }
}
