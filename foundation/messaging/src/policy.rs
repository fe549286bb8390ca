//! When to try again and when to give up: a pure decision.

use dozen_core::{Backoff, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Settlement, Verdict};

/// How failures are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// A message that was handed out this often and not handled becomes a dead letter.
    pub attempts_max: u32,
    /// How long it waits in between.
    pub backoff: Backoff,
}

impl Default for Policy {
    fn default() -> Self {
        Self { attempts_max: 8, backoff: Backoff::default() }
    }
}

impl Policy {
    /// What to do with a delivery that was handed out `attempts` times, given the handler's `verdict`. `None` when there
    /// is nothing left to do.
    pub fn decide(&self, verdict: Verdict, attempts: u32, now: Timestamp, random: u64) -> Option<Settlement> {
        Some(match verdict {
            Verdict::Settled => return None,
            Verdict::Done => Settlement::Done,
            Verdict::Drop(reason) => Settlement::Drop { reason },
            Verdict::Poison(error) => Settlement::Park { error },
            Verdict::Failed(error) if attempts >= self.attempts_max => Settlement::Park { error },
            Verdict::Failed(error) => {
                Settlement::Retry { at: now.after(self.backoff.delay(attempts, random)), error }
            }
            Verdict::Later(wait) => {
                Settlement::Retry { at: now.after(wait), error: "the handler asked for it later".into() }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn failures_back_off_and_then_give_up() {
        let policy = Policy {
            attempts_max: 3,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
        };
        let failed = |attempts| policy.decide(Verdict::Failed("no".into()), attempts, Timestamp(0), 0);
        assert_eq!(failed(1), Some(Settlement::Retry { at: Timestamp(500_000), error: "no".into() }));
        assert_eq!(failed(2), Some(Settlement::Retry { at: Timestamp(1_000_000), error: "no".into() }));
        assert_eq!(failed(3), Some(Settlement::Park { error: "no".into() }));
        assert_eq!(
            policy.decide(Verdict::Poison("bad".into()), 1, Timestamp(0), 0),
            Some(Settlement::Park { error: "bad".into() })
        );
    }
}
