//! How long one may wait for the next piece of something.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// A time-out that begins with the wait, not with the last piece: who takes pieces slowly is not waiting.
pub(super) struct Stall {
    length: Duration,
    /// Made by the first wait, and used again by the next.
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl Stall {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, timer: None, is_waiting: false }
    }

    /// Something came.
    pub(super) fn moved(&mut self) {
        self.is_waiting = false;
    }

    /// Nothing is there; ready when that is so for too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.length)));
        if !self.is_waiting {
            timer.as_mut().reset(Instant::now() + self.length);
            self.is_waiting = true;
        }
        timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_counts_from_the_beginning_of_each_wait() {
        let mut stall = Stall::new(Duration::from_secs(5));
        let start = Instant::now();
        poll_fn(|cx| stall.poll(cx)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        stall.moved();
        tokio::time::advance(Duration::from_secs(60)).await;
        poll_fn(|cx| stall.poll(cx)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(70));
    }
}
