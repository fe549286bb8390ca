//! Delivery by HTTP: each message is POSTed as a structured CloudEvent.
//!
//! Any 2xx acknowledges. 429 and 503 with `Retry-After` are asked again then. Another 4xx will not change by asking
//! again, except 404 and 408: the service may be an older version, or slow; everything else is retried with back-off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{EndpointSet, chain};
use dozen_dataplane::{Body, Client};
use dozen_messaging::{Delivery, Handler, Verdict};
use http::{Method, Request, StatusCode, header};
use tokio::sync::watch;

/// How a service's name becomes its instances.
pub type Resolve = Arc<dyn Fn(&str) -> Option<watch::Receiver<Arc<EndpointSet>>> + Send + Sync>;

/// The longest wait that a receiver can ask for.
const LATER_MAX: Duration = Duration::from_secs(3600);
/// Bytes of an answer that are read, to name what went wrong.
const ANSWER_MAX: usize = 4 * 1024;

/// POSTs deliveries to a service.
pub struct Push {
    service: String,
    path: String,
    endpoints: watch::Receiver<Arc<EndpointSet>>,
    client: Client,
    deadline: Duration,
    turn: AtomicUsize,
}

impl Push {
    /// Deliveries to `path` of `service`, each of which may take `deadline`.
    pub fn new(
        service: impl Into<String>,
        path: impl Into<String>,
        endpoints: watch::Receiver<Arc<EndpointSet>>,
        client: Client,
        deadline: Duration,
    ) -> Self {
        let (service, path) = (service.into(), path.into());
        Self { service, path, endpoints, client, deadline, turn: AtomicUsize::new(0) }
    }

    /// The next instance in turn.
    fn address(&self) -> Option<String> {
        let set = self.endpoints.borrow();
        let healthy: Vec<_> = set.healthy().collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        healthy.get(turn.checked_rem(healthy.len())?).map(|endpoint| endpoint.address.clone())
    }
}

#[async_trait]
impl Handler for Push {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let Some(address) = self.address() else {
            return Verdict::Failed(format!("no instance of `{}` is healthy", self.service));
        };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(header::HOST, &address)
            .header(header::CONTENT_TYPE, "application/cloudevents+json");
        if let Some(trace) = delivery.message.extension("traceparent") {
            request = request.header("traceparent", trace);
        }
        let request = match request.body(Body::from(delivery.message.to_json())) {
            Ok(request) => request,
            Err(error) => return Verdict::Poison(format!("it cannot be sent as HTTP: {error}")),
        };
        let response = match self.client.send(&address, request, self.deadline).await {
            Ok(response) => response,
            Err(error) => return Verdict::Failed(chain(&error)),
        };
        let (head, body) = response.into_parts();
        let says = body.collect(ANSWER_MAX).await.unwrap_or_default();
        if head.status.is_success() {
            return Verdict::Done;
        }
        let after = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        if let (Some(seconds), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) =
            (after, head.status)
        {
            return Verdict::Later(Duration::from_secs(seconds).min(LATER_MAX));
        }
        let says: String = String::from_utf8_lossy(&says).chars().take(300).collect();
        let error = format!("`{}` answered {}: {}", self.service, head.status, says.trim());
        let may_change = matches!(
            head.status,
            StatusCode::NOT_FOUND | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        );
        if head.status.is_client_error() && !may_change {
            Verdict::Poison(error)
        } else {
            Verdict::Failed(error)
        }
    }
}
