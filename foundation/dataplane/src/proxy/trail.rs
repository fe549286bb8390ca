//! Who hears of each attempt to have a request answered.

use http::HeaderValue;

use super::Failure;

/// Hears of the attempts of one request. Called on the worker's thread: nothing in it may block.
pub trait Trail: Send + Sync {
    /// An attempt begins, counted from 1.
    fn begin(&self, attempt: u32) -> Box<dyn Step>;
}

/// An attempt on its way. Dropped without a word, it was given up: its client went away, or another was faster.
pub trait Step: Send {
    /// What it tells the endpoint of the trace that it belongs to.
    fn traceparent(&self) -> HeaderValue;

    /// It has come to the head of an answer, with this status, or to none. `address` is the endpoint that was asked last.
    fn ended(self: Box<Self>, address: Option<&str>, how: Result<u16, Failure>);
}
