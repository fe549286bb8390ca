//! One call at work: a service, a request, and an answer within its bounds.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use dozen_dataplane::{Body, CallError, Caller, Error};
use dozen_mapping::{Limits, Value, json};
use http::{HeaderMap, Request, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::status::Failure;

/// Bytes of an answer that is not used, and is read only so that its connection can be used again.
const DRAINED_MAX: usize = 16 * 1024;

/// What a call gave.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) value: Value,
}

/// Bytes that all answers of one request may still have.
pub(super) struct Budget(AtomicUsize);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }

    fn take(&self, bytes: usize) -> bool {
        let take = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// The bounds of one call.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'b> {
    pub(super) until: Instant,
    /// Whether it is the client that gives no more time. What is late then says nothing of the instance: whoever is in a
    /// hurry must not be able to have instances taken for dead.
    pub(super) is_hurried: bool,
    pub(super) answer_max: usize,
    pub(super) budget: &'b Budget,
}

/// Asks the service, as the file says that it is called. Dropped, it ends the request, and its instance is neither praised nor
/// blamed.
pub(super) async fn ask(
    caller: &Caller,
    service: &str,
    request: Request<Bytes>,
    bounds: Bounds<'_>,
) -> Result<Answer, Failure> {
    let left = bounds.until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Failure::Late);
    }
    let caller = caller.hurried(bounds.is_hurried);
    let answer = caller.send(service, request.map(Body::from), left).await.map_err(|error| {
        tracing::debug!(service, error = %dozen_core::chain(&error), "a call failed");
        failure(&error)
    })?;
    let (parts, body) = answer.into_parts();
    let whole = async {
        match parts.status.is_success() {
            true => collect(body, bounds).await,
            false => {
                let _ = body.collect(DRAINED_MAX).await;
                Err(Failure::Answered(parts.status))
            }
        }
    };
    let bytes = timeout_at(bounds.until, whole).await.unwrap_or(Err(Failure::Late))?;
    Ok(Answer { status: parts.status, headers: parts.headers, value: read(&bytes, bounds.answer_max)? })
}

fn failure(error: &CallError) -> Failure {
    match error {
        CallError::Unknown { .. } => Failure::Unavailable { retry_after: None },
        CallError::Unavailable { source, .. } => {
            Failure::Unavailable { retry_after: source.retry_after_seconds() }
        }
        CallError::Failed { source, .. } => match source {
            Error::TimedOut { .. } => Failure::Late,
            Error::Connect { .. } | Error::Unprocessed { .. } => Failure::Unreached,
            Error::Request { .. } => Failure::Request,
            _ => Failure::Broken,
        },
    }
}

/// The whole body, within the bound of the call and what is left for all of them.
async fn collect(body: Body, bounds: Bounds<'_>) -> Result<Bytes, Failure> {
    let mut count = 0;
    let fits = |more: usize| {
        count += more;
        count <= bounds.answer_max && bounds.budget.take(more)
    };
    body.gather(fits).await.map_err(|_| Failure::Broken)?.ok_or(Failure::TooLarge)
}

/// A JSON document. A body without one, as of a 204, is null.
pub(super) fn read(bytes: &[u8], size: usize) -> Result<Value, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|_| Failure::Form)?;
    if text.trim_ascii().is_empty() {
        return Ok(Value::Null);
    }
    json::read(text, &Limits { size, ..Limits::default() }).map_err(|_| Failure::Form)
}
