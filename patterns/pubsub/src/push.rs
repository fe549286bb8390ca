//! Delivery by HTTP: each message is POSTed as a CloudEvent, signed if there are secrets.
//!
//! Any 2xx acknowledges. 429 and 503 with `Retry-After` are asked again then. Another 4xx will not change by asking
//! again, except 404, 408 and 429: the service may be an older version, or slow. A receiver that cannot be reached, does not
//! answer in time or answers 5xx has failed, and its [`Circuit`] counts that.

mod signature;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dozen_core::{Clock, Message, SystemClock, chain};
use dozen_dataplane::{Body, Caller, Place};
use dozen_messaging::{Circuit, Delivery, Handler, Verdict};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

pub use signature::{SecretError, Secrets};

/// The longest wait that a receiver can ask for.
const LATER_MAX: Duration = Duration::from_secs(3600);
/// Bytes of an answer that are read, to name what went wrong.
const ANSWER_MAX: usize = 4 * 1024;
/// Probes of one message that a receiver may fail at before the message is given back, and counts an attempt: it might be
/// the cause. A receiver that cannot be reached at all is not counted.
const PROBES_MAX: u32 = 8;

/// How a message stands in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// One JSON object with the payload inside, `application/cloudevents+json`.
    #[default]
    Structured,
    /// The payload as the body, the attributes as `ce-` headers beside it.
    Binary,
}

/// POSTs deliveries to a service or to an address.
pub struct Push {
    place: Place,
    caller: Caller,
    deadline: Duration,
    mode: Mode,
    secrets: Option<Secrets>,
    circuit: Option<Circuit>,
    clock: Arc<dyn Clock>,
}

/// What became of one POST.
enum Sent {
    /// The receiver decided.
    Answered(Verdict),
    /// The receiver was reached, and failed. The message may be the cause.
    Failed(String),
    /// The receiver was not reached.
    Away(String),
}

impl Push {
    /// Deliveries to `place`, a service or a URL, each of which may take `deadline`.
    pub fn new(place: Place, caller: Caller, deadline: Duration) -> Self {
        let (mode, clock) = (Mode::default(), Arc::new(SystemClock));
        Self { place, caller, deadline, mode, secrets: None, circuit: None, clock }
    }

    /// In this form.
    #[must_use]
    pub fn in_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Signed with these secrets: `webhook-id`, `webhook-timestamp` by `clock`, and `webhook-signature`.
    #[must_use]
    pub fn signed(mut self, secrets: Secrets, clock: Arc<dyn Clock>) -> Self {
        (self.secrets, self.clock) = (Some(secrets), clock);
        self
    }

    /// Sparing the receiver while it is away. The worker should receive through
    /// [`dozen_messaging::While`] with the same circuit, and run as a [`crate::Pushing`].
    #[must_use]
    pub fn with_circuit(mut self, circuit: Circuit) -> Self {
        self.circuit = Some(circuit);
        self
    }

    /// The request but for its `host`. The error is for ever.
    fn request(&self, message: &Message) -> Result<(HeaderMap, Bytes), String> {
        let (mut headers, body): (Vec<(String, String)>, Bytes) = match self.mode {
            Mode::Structured => {
                let kind = ("content-type".to_owned(), "application/cloudevents+json".to_owned());
                (vec![kind], message.to_json().into())
            }
            Mode::Binary => (message.to_headers(), message.data.clone()),
        };
        if let Some(trace) = message.extension("traceparent") {
            headers.push(("traceparent".into(), trace.into()));
        }
        if let Some(secrets) = &self.secrets {
            let id = header_text(&message.id);
            let seconds = self.clock.now().0.div_euclid(1_000_000);
            headers.push(("webhook-signature".into(), secrets.sign(&id, seconds, &body)));
            headers.push(("webhook-timestamp".into(), seconds.to_string()));
            headers.push(("webhook-id".into(), id));
        }
        let mut map = HeaderMap::with_capacity(headers.len() + 1);
        for (name, value) in headers {
            let wrong = || format!("its attribute `{name}` cannot be sent as a header");
            let value = HeaderValue::try_from(value).map_err(|_| wrong())?;
            map.insert(HeaderName::try_from(name.as_str()).map_err(|_| wrong())?, value);
        }
        Ok((map, body))
    }

    async fn post(&self, message: &Message) -> Sent {
        let (headers, body) = match self.request(message) {
            Ok(request) => request,
            Err(why) => return Sent::Answered(Verdict::Poison(why)),
        };
        let mut request = match self.place.request(Method::POST).body(Body::from(body)) {
            Ok(request) => request,
            Err(error) => {
                return Sent::Answered(Verdict::Poison(format!("it cannot be sent as HTTP: {error}")));
            }
        };
        request.headers_mut().extend(headers);
        let response = match self.caller.ask(&self.place, request, self.deadline).await {
            Ok(response) => response,
            Err(error) if error.is_unsent() => return Sent::Away(chain(&error)),
            Err(error) => return Sent::Failed(chain(&error)),
        };
        let (head, body) = response.into_parts();
        let says = body.collect(ANSWER_MAX).await.unwrap_or_default();
        self.read(&head, &says)
    }

    /// What an answer means.
    fn read(&self, head: &http::response::Parts, says: &[u8]) -> Sent {
        let status = head.status;
        if status.is_success() {
            return Sent::Answered(Verdict::Done);
        }
        let after = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        if let (Some(seconds), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) =
            (after, status)
        {
            return Sent::Answered(Verdict::Later(Duration::from_secs(seconds).min(LATER_MAX)));
        }
        let says: String = String::from_utf8_lossy(says).chars().take(300).collect();
        let error = format!("`{}` answered {status}: {}", self.place.name(), says.trim());
        let may_change = matches!(
            status,
            StatusCode::NOT_FOUND | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        );
        match status {
            _ if status.is_server_error() => Sent::Failed(error),
            _ if status.is_client_error() && !may_change => Sent::Answered(Verdict::Poison(error)),
            _ => Sent::Answered(Verdict::Failed(error)),
        }
    }

    /// Holds the message for as long as the receiver is away, and sends it when it is its turn.
    async fn by_circuit(&self, circuit: &Circuit, message: &Message) -> Verdict {
        let mut probes = 0;
        loop {
            // The worker stops: whoever is next delivers it.
            let Some(permit) = circuit.permit().await else { return Verdict::Later(Duration::ZERO) };
            let is_probe = permit.is_probe();
            let (error, may_be_the_cause) = match self.post(message).await {
                Sent::Answered(verdict) => {
                    permit.answered();
                    return verdict;
                }
                Sent::Failed(error) => (error, true),
                Sent::Away(error) => (error, false),
            };
            probes += u32::from(is_probe && may_be_the_cause);
            if !permit.failed(&error) || probes >= PROBES_MAX {
                return Verdict::Failed(error);
            }
        }
    }
}

/// As a header carries any text: what is not printable ASCII is percent-encoded.
fn header_text(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[async_trait]
impl Handler for Push {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        match &self.circuit {
            Some(circuit) => self.by_circuit(circuit, &delivery.message).await,
            None => match self.post(&delivery.message).await {
                Sent::Answered(verdict) => verdict,
                Sent::Failed(error) | Sent::Away(error) => Verdict::Failed(error),
            },
        }
    }
}
