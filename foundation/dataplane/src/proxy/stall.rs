//! Waiting for the next piece of something, no longer than there is patience for it.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep};

use super::patience::Patience;

/// A time-out that begins with the wait, not with the last piece: who takes pieces slowly is not waiting.
pub(super) struct Stall {
    patience: Patience,
    /// Made by the first wait, and used again by the next.
    timer: Option<Pin<Box<Sleep>>>,
    since: Option<Instant>,
}

impl Stall {
    pub(super) fn new(patience: Patience) -> Self {
        Self { patience, timer: None, since: None }
    }

    /// So many bytes came.
    pub(super) fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.patience.waited(since.elapsed());
        }
        self.patience.moved(bytes);
    }

    /// Nothing is there; ready when that is so for too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.patience.left();
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(left)));
        if self.since.is_none() {
            let now = Instant::now();
            timer.as_mut().reset(now + left);
            self.since = Some(now);
        }
        timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::super::BodyRate;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_counts_from_the_beginning_of_each_wait() {
        let mut stall = Stall::new(Patience::new(None, Duration::from_secs(5)));
        let start = Instant::now();
        poll_fn(|cx| stall.poll(cx)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        stall.moved(1);
        tokio::time::advance(Duration::from_secs(60)).await;
        poll_fn(|cx| stall.poll(cx)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(70));
    }

    #[tokio::test(start_paused = true)]
    async fn with_a_rate_waits_add_up_and_what_comes_late_is_paid_for() {
        let mut stall = Stall::new(Patience::new(Some(BodyRate::USUAL), Duration::from_secs(300)));
        let start = Instant::now();
        for _ in 0..4 {
            let wait = tokio::time::timeout(Duration::from_secs(1), poll_fn(|cx| stall.poll(cx)));
            assert!(wait.await.is_err(), "there is time left");
            stall.moved(0);
            // Nobody waits now.
            tokio::time::advance(Duration::from_secs(100)).await;
        }
        stall.moved(480);
        poll_fn(|cx| stall.poll(cx)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(4 + 400 + 1 + 2));
    }
}
