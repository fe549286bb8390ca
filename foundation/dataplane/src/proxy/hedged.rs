//! Attempts side by side: whoever answers first wins, and the others are dropped.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::sleep;

use super::Handler;
use super::attempt::Ended;
use super::forward::Call;

impl<H: Handler> Call<H> {
    /// An attempt, and beside it another for each `wait` without an answer: the first good answer, or else the last.
    pub(super) async fn hedged(&self, wait: Duration) -> Ended {
        let upstream = &self.route.upstream;
        let mut running = FuturesUnordered::new();
        running.push(self.attempt());
        let mut timer = pin!(sleep(wait));
        let (mut sent, mut is_armed) = (1, true);
        let mut worse: Option<Ended> = None;
        loop {
            tokio::select! { biased;
                Some(ended) = running.next() => {
                    if self.cause(&ended).is_none() && ended.is_ok() {
                        worse.into_iter().for_each(|ended| self.tell(ended));
                        return ended;
                    }
                    // An answer, even a bad one, says more than none.
                    let ended = match (worse.take(), ended) {
                        (Some(before), Err(failed)) if before.is_ok() => {
                            self.tell(Err(failed));
                            before
                        }
                        (before, ended) => {
                            before.into_iter().for_each(|before| self.tell(before));
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
                    if upstream.may_hedge() {
                        running.push(self.attempt());
                        sent += 1;
                        if let Some(wait) = upstream.hedge_after(sent, true, Some(self.left())) {
                            timer.as_mut().reset(tokio::time::Instant::now() + wait);
                            is_armed = true;
                        }
                    }
                }
            }
        }
    }
}
