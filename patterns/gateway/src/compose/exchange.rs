//! One call at work: an endpoint, a request, and an answer within its bounds.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use dozen_dataplane::{Body, Client, Error, Lease, Unavailable, Upstream, Want};
use dozen_mapping::{Limits, Value, json};
use http::{HeaderMap, Request, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::status::Failure;

/// Instances that are tried while none accepts a connection.
const CONNECTS_MAX: usize = 3;
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

/// Asks an instance of the service, and tells what it was like. One that accepts no connection has seen nothing of the
/// request, and so another one is asked. Dropped, it closes its connection, and the instance is neither praised nor blamed.
pub(super) async fn ask(
    client: &Client,
    upstream: &Upstream,
    random: u64,
    request: Request<Bytes>,
    bounds: Bounds<'_>,
) -> Result<Answer, Failure> {
    let mut tried = Vec::new();
    loop {
        let attempt = u32::try_from(tried.len()).unwrap_or(u32::MAX - 1) + 1;
        let want = Want { avoid: &tried, attempt, ..Want::new(random) };
        let left = bounds.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::Late);
        }
        let unavailable = |why: Unavailable| Failure::Unavailable { retry_after: why.retry_after_seconds() };
        let lease = upstream.pick_or_wait(&want, left).await.map_err(unavailable)?;
        let answering = answer(client, upstream, &lease, request.clone().map(Body::from), bounds);
        let answered = timeout_at(bounds.until, answering).await.unwrap_or(Err(Failure::Late));
        match &answered {
            Err(Failure::Late) if bounds.is_hurried => {}
            Err(Failure::Unreached | Failure::Late | Failure::Broken) => upstream.failed(&lease),
            Err(Failure::Answered(status)) if (502..=504).contains(&status.as_u16()) => {
                upstream.failed(&lease)
            }
            // A request that cannot be sent says nothing of whom it was for.
            Err(Failure::Request) => {}
            Ok(_) | Err(_) => upstream.succeeded(&lease),
        }
        tried.push(lease.id());
        if answered.as_ref().err() == Some(&Failure::Unreached) && tried.len() < CONNECTS_MAX {
            continue;
        }
        let (status, headers, bytes) = answered?;
        return Ok(Answer { status, headers, value: read(&bytes, bounds.answer_max)? });
    }
}

async fn answer(
    client: &Client,
    upstream: &Upstream,
    lease: &Lease,
    request: Request<Body>,
    bounds: Bounds<'_>,
) -> Result<(StatusCode, HeaderMap, Bytes), Failure> {
    let left = bounds.until.saturating_duration_since(Instant::now());
    let answer = client.send(lease.address(), request, left).await.map_err(|error| {
        tracing::debug!(service = &**upstream.service(), error = %dozen_core::chain(&error), "a call failed");
        match error {
            Error::TimedOut { .. } => Failure::Late,
            Error::Connect { .. } => Failure::Unreached,
            Error::Request { .. } => Failure::Request,
            _ => Failure::Broken,
        }
    })?;
    upstream.heard(lease);
    let (parts, body) = answer.into_parts();
    if !parts.status.is_success() {
        let _ = body.collect(DRAINED_MAX).await;
        return Err(Failure::Answered(parts.status));
    }
    let bytes = collect(body, bounds).await?;
    Ok((parts.status, parts.headers, bytes))
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
