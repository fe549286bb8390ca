//! Handing messages out.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use dozen_messaging::{Delivery, Error, Part, Policy, Settlement, Subscriber};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{Face, Problem, Span, view};

/// Messages in one answer.
const MAX: usize = 100;
/// The shortest and the longest lease that a request may ask for.
const LEASES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(12 * 3600));

/// What a request to receive asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiving {
    max: Option<usize>,
    wait: Option<Span>,
    lease: Option<Span>,
}

impl Receiving {
    /// The lease that is asked for, if one is.
    pub fn lease(&self) -> Result<Option<Duration>, Problem> {
        self.lease.map(|lease| checked_lease(lease, "query lease")).transpose()
    }
}

/// A lease that may be asked for; `at` is where it stands in the request.
pub fn checked_lease(Span(lease): Span, at: &str) -> Result<Duration, Problem> {
    let (least, most) = LEASES;
    match (least..=most).contains(&lease) {
        true => Ok(lease),
        false => Err(Problem::invalid(at, "a lease is 100ms to 12h long")),
    }
}

/// Answers with messages, leased by `subscriber` over `parts`: `{"messages": […]}`, empty when none came in time.
pub async fn receive(
    face: &Face,
    subscriber: &dyn Subscriber,
    parts: impl Fn() -> Arc<[Part]>,
    policy: &Policy,
    asked: &Receiving,
) -> Result<Response, Problem> {
    let max = asked.max.unwrap_or(10);
    if !(1..=MAX).contains(&max) {
        return Err(Problem::invalid("query max", format!("`max` is {max}; it must be 1 to {MAX}")));
    }
    let wait = face.wait(asked.wait);
    let deliveries = match wait.is_zero() {
        true => take(subscriber, policy, max, wait).await?,
        false => face.waiting(take(subscriber, policy, max, wait)).await?,
    };
    // Asked afterwards: parts may have been added meanwhile.
    let parts = parts();
    let messages: Vec<Value> = deliveries.iter().map(|delivery| view::delivery(delivery, &parts)).collect();
    Ok(Json(json!({ "messages": messages })).into_response())
}

/// Up to `max` messages. One that outlived its last attempt without a verdict ended its receiver each time: it becomes a
/// dead letter instead of another attempt.
pub async fn take(
    subscriber: &dyn Subscriber,
    policy: &Policy,
    max: usize,
    wait: Duration,
) -> Result<Vec<Delivery>, Error> {
    let deadline = Instant::now() + wait;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let deliveries = subscriber.receive(max, left).await?;
        let (spent, fit): (Vec<_>, Vec<_>) =
            deliveries.into_iter().partition(|delivery| delivery.attempts > policy.attempts_max);
        if spent.is_empty() {
            return Ok(fit);
        }
        let park = |delivery: Delivery| {
            let error = format!("was handed out {} times without a verdict", delivery.attempts - 1);
            (delivery.lease, Settlement::Park { error })
        };
        subscriber.settle(spent.into_iter().map(park).collect()).await?;
        if !fit.is_empty() {
            return Ok(fit);
        }
    }
}
