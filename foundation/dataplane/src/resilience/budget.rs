//! How many retries a service can afford.
//!
//! A retry helps when a few requests fail, and harms when all do: a service that is down because of its load then gets a
//! multiple of it. A limit of attempts does not bound that multiple over many callers; a share of the requests does
//! (Finagle's *RetryBudget*, 2015). Every first attempt pays in, every retry and every hedge takes out, and who finds the
//! budget empty gives up. The small allowance on top lets a service with little traffic be retried at all.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Window;
use crate::moment::Moment;

/// How much may be retried, of all requests to a service together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BudgetPolicy {
    /// Retries and hedges for each hundred requests.
    pub percent: u32,
    /// And so many more in each second, however few requests there are.
    pub per_second_min: u32,
    /// Over how long both are reckoned. What is not used in it is lost.
    #[serde(with = "dozen_core::duration")]
    pub window: Duration,
}

impl Default for BudgetPolicy {
    fn default() -> Self {
        Self { percent: 20, per_second_min: 3, window: Duration::from_secs(10) }
    }
}

impl BudgetPolicy {
    /// The retries that `requests` in one window pay for.
    fn allowed(&self, requests: u64) -> u64 {
        let allowance = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX);
        requests * u64::from(self.percent) / 100
            + u64::from(self.per_second_min).saturating_mul(allowance) / 1000
    }
}

/// The account of one service.
#[derive(Debug, Default)]
pub(crate) struct Budget(Window);

impl Budget {
    /// A request was sent for the first time.
    pub(crate) fn deposit(&self, now: Moment, policy: &BudgetPolicy) {
        self.0.add(now, policy.window, 1, 0);
    }

    /// Pays for one retry, or says that there is nothing left.
    pub(crate) fn withdraw(&self, now: Moment, policy: &BudgetPolicy) -> bool {
        self.0.mark_if(now, policy.window, |counts| counts.marked <= policy.allowed(counts.total))
    }

    /// The retries that could be paid for now.
    pub(crate) fn left(&self, now: Moment, policy: &BudgetPolicy) -> u64 {
        let counts = self.0.counts(now, policy.window);
        policy.allowed(counts.total).saturating_sub(counts.marked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn a_quiet_service_is_retried_three_times_a_second() {
        let (budget, policy) = (Budget::default(), BudgetPolicy::default());
        let granted = (0..100).filter(|_| budget.withdraw(Moment(1), &policy)).count();
        assert_eq!(granted, 30);
        assert_eq!(budget.left(Moment(1), &policy), 0);
        assert_eq!(budget.left(Moment(1).after(policy.window), &policy), 30);
    }

    #[test]
    fn a_busy_one_for_a_fifth_of_its_requests() {
        let (budget, policy) = (Budget::default(), BudgetPolicy::default());
        for _ in 0..1000 {
            budget.deposit(Moment(1), &policy);
        }
        let granted = (0..1000).filter(|_| budget.withdraw(Moment(1), &policy)).count();
        assert_eq!(granted, 230);
    }

    #[test]
    fn callers_that_ask_at_once_get_no_more() {
        let (budget, policy) = (Budget::default(), BudgetPolicy::default());
        let granted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if budget.withdraw(Moment(1), &policy) {
                            granted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert!((1..=30).contains(&granted.load(Ordering::Relaxed)), "{granted:?}");
    }
}
