//! Attempts side by side: whoever answers first wins, and the others are dropped.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::sleep;

use super::{Attempts, Ended};

/// An attempt, and beside it another for each `wait` without an answer: the first good answer, or else the last.
pub(super) async fn run<A: Attempts>(attempts: &A, wait: Duration) -> Ended<A::Failure> {
    let errand = attempts.errand();
    let mut running = FuturesUnordered::new();
    running.push(attempts.attempt());
    let mut timer = pin!(sleep(wait));
    let (mut sent, mut is_armed) = (1, true);
    let mut worse: Option<Ended<A::Failure>> = None;
    loop {
        tokio::select! { biased;
            Some(ended) = running.next() => {
                if errand.cause(&ended).is_none() && ended.is_ok() {
                    worse.into_iter().for_each(|ended| attempts.tell(ended));
                    return ended;
                }
                // An answer, even a bad one, says more than none.
                let ended = match (worse.take(), ended) {
                    (Some(before), Err(failed)) if before.is_ok() => {
                        attempts.tell(Err(failed));
                        before
                    }
                    (before, ended) => {
                        before.into_iter().for_each(|before| attempts.tell(before));
                        ended
                    }
                };
                if running.is_empty() {
                    return ended;
                }
                worse = Some(ended);
            }
            () = &mut timer, if is_armed => {
                is_armed = false;
                if errand.upstream.may_hedge() {
                    running.push(attempts.attempt());
                    sent += 1;
                    if let Some(wait) = errand.upstream.hedge_after(sent, true, Some(errand.left())) {
                        timer.as_mut().reset(tokio::time::Instant::now() + wait);
                        is_armed = true;
                    }
                }
            }
        }
    }
}
