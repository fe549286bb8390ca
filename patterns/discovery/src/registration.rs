//! An instance's side: registers, stays alive, leaves.
//!
//! ```text
//!            200                     200, wait ttl/3
//! absent ───────────► registered ──────────────────────► registered …
//!   ▲ failure: back-off   │  404: it was removed, or the registry was restarted
//!   └─────────────────────┴──────────────────────────────► absent, at once
//! ```
//!
//! The registry being away is no reason for a service not to start, to stop or to fail: it keeps trying, at most
//! once each third of the time to live, and is seen again as soon as the registry is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Backoff, Ids, chain, duration};
use dozen_dataplane::{Body, Client};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use http::{Method, Request, StatusCode, header};
use serde_json::json;

/// Who registers, and where.
#[derive(Clone, Debug)]
pub struct RegistrationOptions {
    /// Where the registry is, `host:port`.
    pub registry: String,
    /// The service that this is an instance of.
    pub service: String,
    /// This instance, unique within its service.
    pub id: String,
    /// Where this instance can be reached, `host:port`.
    pub address: String,
    /// The failure domain it stands in.
    pub zone: Option<String>,
    /// Its share of the traffic.
    pub weight: u32,
    /// What others may want to know of it.
    pub metadata: BTreeMap<String, String>,
    /// It is removed when the registry does not hear of it for this long.
    pub ttl: Duration,
}

impl RegistrationOptions {
    /// An instance named by its address, of weight 1 and with a time to live of 15 seconds.
    pub fn new(registry: impl Into<String>, service: impl Into<String>, address: impl Into<String>) -> Self {
        let address = address.into();
        Self {
            registry: registry.into(),
            service: service.into(),
            id: address.clone(),
            address,
            zone: None,
            weight: 1,
            metadata: BTreeMap::new(),
            ttl: Duration::from_secs(15),
        }
    }
}

/// Keeps one instance registered for as long as it runs.
///
/// It is ready at once: whether the registry is there decides nothing about this process.
#[derive(Debug)]
pub struct Registration {
    options: RegistrationOptions,
    client: Client,
    ids: Ids,
}

/// The registry answers from memory; one that takes longer is away.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Leaving is a courtesy: a registry that is away removes the instance by itself.
const LEAVE_MAX: Duration = Duration::from_secs(1);
/// What is read of an answer that says no.
const REFUSAL_BYTES_MAX: usize = 4096;

/// How a call to the registry went.
enum Outcome {
    Fine,
    /// The registry does not know the instance.
    Absent,
    /// Nothing was learned, and why.
    Failed(String),
}

impl Registration {
    /// The registration of one instance, which begins when it is run.
    pub fn new(options: RegistrationOptions, client: Client, ids: Ids) -> Self {
        Self { options, client, ids }
    }

    async fn register(&self) -> Outcome {
        let options = &self.options;
        let body = json!({
            "address": options.address,
            "zone": options.zone,
            "weight": options.weight,
            "metadata": options.metadata,
            "ttl": duration::text(options.ttl),
        });
        self.call(Method::PUT, "", body.to_string(), ANSWER_MAX).await
    }

    async fn call(&self, method: Method, tail: &str, body: String, deadline: Duration) -> Outcome {
        let RegistrationOptions { registry, service, id, .. } = &self.options;
        let path = format!("/dozen/v1/services/{}/instances/{}{tail}", escape(service), escape(id));
        let request =
            Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        let request = match request.body(Body::from(body)) {
            Ok(request) => request,
            Err(error) => return Outcome::Failed(error.to_string()),
        };
        let response = match self.client.send(registry, request, deadline).await {
            Ok(response) => response,
            Err(error) => return Outcome::Failed(chain(&error)),
        };
        match response.status() {
            status if status.is_success() => Outcome::Fine,
            StatusCode::NOT_FOUND => Outcome::Absent,
            status => {
                let text = response.into_body().collect(REFUSAL_BYTES_MAX).await.unwrap_or_default();
                Outcome::Failed(format!("the registry answered {status}: {}", String::from_utf8_lossy(&text)))
            }
        }
    }
}

/// Percent-encodes one segment of a path.
fn escape(segment: &str) -> String {
    let mut path = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

#[async_trait]
impl Service for Registration {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        let (service, id) = (&self.options.service, &self.options.id);
        let beat = self.options.ttl / 3;
        let backoff = Backoff::new(Duration::from_millis(100), beat);
        let mut is_registered = false;
        let mut failures = 0;
        loop {
            let call = async {
                if is_registered {
                    self.call(Method::POST, "/heartbeat", String::new(), ANSWER_MAX.min(beat)).await
                } else {
                    self.register().await
                }
            };
            let outcome = tokio::select! { biased;
                () = stop.soft.cancelled() => break,
                outcome = call => outcome,
            };
            let wait = match outcome {
                Outcome::Fine => {
                    if !is_registered {
                        tracing::info!(service, instance = id, "registered");
                    }
                    is_registered = true;
                    failures = 0;
                    beat
                }
                Outcome::Absent if is_registered => {
                    tracing::info!(
                        service,
                        instance = id,
                        "no longer known to the registry; registering again"
                    );
                    is_registered = false;
                    continue;
                }
                Outcome::Absent => {
                    self.failed("it is no dozen registry (404)".into(), &mut failures, &backoff)
                }
                Outcome::Failed(why) => self.failed(why, &mut failures, &backoff),
            };
            tokio::select! { biased;
                () = stop.soft.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        // A call that was cut short may have registered, so it leaves in any case.
        if let Outcome::Failed(why) = self.call(Method::DELETE, "", String::new(), LEAVE_MAX).await {
            tracing::info!(service, instance = id, why, "could not deregister; it expires by itself");
        }
        Ok(())
    }
}

impl Registration {
    /// Says once per outage that the registry cannot be reached, and how long to wait.
    fn failed(&self, why: String, failures: &mut u32, backoff: &Backoff) -> Duration {
        *failures = failures.saturating_add(1);
        if *failures == 1 {
            let registry = self.options.registry.as_str();
            tracing::warn!(registry, service = self.options.service, why, "cannot register; keeps trying");
        }
        backoff.delay(*failures, self.ids.random())
    }
}
