//! The calls of a lane, and what happens to them: one of each kind at a time.

use std::pin::Pin;

use dozen_core::Token;
use dozen_lifecycle::{Stop, or_never};
use dozen_messaging::{Delivery, Error, Lease};
use tokio::time::{Instant, sleep_until};

use crate::hand::Ends;

/// A call that is under way, if one is.
pub(super) type Call<T> = Option<Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>>;

/// Completes with the call, or never where there is none.
async fn finished<T>(call: &mut Call<T>) -> Result<T, Error> {
    let result = or_never(call.as_mut()).await;
    *call = None;
    result
}

/// The calls that are running, and what they are about.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) receiving: Call<Vec<Delivery>>,
    pub(super) publishing: Call<Token>,
    pub(super) settling: Call<Vec<bool>>,
    pub(super) settled: Ends,
    pub(super) extending: Call<Vec<bool>>,
    pub(super) extended: Vec<Lease>,
}

/// What has happened.
pub(super) enum Event {
    Received(Result<Vec<Delivery>, Error>),
    Published(Result<Token, Error>),
    Settled(Result<Vec<bool>, Error>),
    Extended(Result<Vec<bool>, Error>),
    /// No more is wanted.
    Stopping,
    /// Nothing is wanted any more.
    Cut,
    /// It is time to look.
    Due,
}

impl Calls {
    /// Waits for the next thing to happen, until `wake`.
    pub(super) async fn next(&mut self, stop: &Stop, wake: Option<Instant>) -> Event {
        let stopping = stop.is_stopping() && self.receiving.is_none();
        tokio::select! { biased;
            () = stop.hard.cancelled() => Event::Cut,
            () = stop.soft.cancelled(), if !stopping => Event::Stopping,
            result = finished(&mut self.publishing) => Event::Published(result),
            result = finished(&mut self.settling) => Event::Settled(result),
            result = finished(&mut self.extending) => Event::Extended(result),
            result = finished(&mut self.receiving) => Event::Received(result),
            () = or_never(wake.map(sleep_until)) => Event::Due,
        }
    }
}
