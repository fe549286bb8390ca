//! One event, from the broker to the app's route, and what its answer makes of it.
//!
//! ```text
//!   expired? ──► not wanted
//!      │ no
//!   POST route ── SUCCESS ──► done
//!      │ │ │
//!      │ │ └─ nobody listens ──► wait for the app, lease held, no attempt used up; POST again
//!      │ └─── RETRY, error, no answer ──► again later; after the last attempt: given up
//!      └───── DROP, 404 ──► not wanted
//!
//!   given up or not wanted, with a dead-letter topic: published there first, then settled. If that fails, again later.
//! ```

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dozen_core::{Message, Timestamp, chain};
use dozen_messaging::{Delivery, Handler, Verdict};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::answer::{self, Answer};
use crate::channel::{Channel, Silence};
use crate::envelope::{RAW, SENT};
use crate::publish::is_binary;
use crate::sidecar::Sidecar;
use crate::subscription::Subscription;

/// A dead letter is published within this, or the event stays where it is.
const DEAD_LETTER_MAX: Duration = Duration::from_secs(30);

/// Posts the events of one subscription.
pub(crate) struct Deliver {
    pub(crate) sidecar: Arc<Sidecar>,
    pub(crate) channel: Arc<Channel>,
    pub(crate) subscription: Subscription,
    /// Cancelled when no more should be begun.
    pub(crate) closing: CancellationToken,
}

#[async_trait]
impl Handler for Deliver {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let message = &delivery.message;
        let now = self.sidecar.ids.clock().now();
        if message.extension("expiration").and_then(Timestamp::parse).is_some_and(|end| end < now) {
            return self.unwanted(message, "it has expired".into()).await;
        }
        let Some(answer) = self.ask(message).await else {
            return Verdict::Later(Duration::ZERO); // the sidecar stops, and the app is away: the next one delivers it
        };
        match answer {
            Answer::Done => Verdict::Done,
            Answer::Drop(why) => self.unwanted(message, why).await,
            Answer::Retry(why) if delivery.attempts >= self.sidecar.options.policy.attempts_max => {
                match &self.subscription.dead_letter_topic {
                    Some(_) => self.unwanted(message, why).await,
                    None => Verdict::Failed(why), // parked by the policy: kept by the broker, with its history
                }
            }
            Answer::Retry(why) => Verdict::Failed(why),
        }
    }
}

impl Deliver {
    /// The app's answer; `None` when the sidecar stops before the app is there.
    async fn ask(&self, message: &Message) -> Option<Answer> {
        let (kind, body) = if self.subscription.bulk {
            ("application/json", self.bulk(message))
        } else {
            ("application/cloudevents+json", self.event(message))
        };
        let body = body.to_string().into_bytes();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        for name in ["traceparent", "tracestate"] {
            if let Some(value) = message.extension(name).and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        }
        loop {
            // Whoever had to wait looks first whether this subscription is still the app's.
            if !self.channel.is_here() {
                tokio::select! { biased;
                    () = self.closing.cancelled() => return None,
                    () = self.channel.until_here() => {}
                }
            }
            let deadline = self.sidecar.options.deliver_timeout;
            let route = &self.subscription.route;
            match self.channel.call(Method::POST, route, headers.clone(), body.clone(), deadline).await {
                Ok((status, said)) if self.subscription.bulk => {
                    return Some(answer::read_bulk(status, &said, &message.id));
                }
                Ok((status, said)) => return Some(answer::read(status, &said)),
                Err(Silence::Away(_)) => self.channel.lost(),
                Err(Silence::Failed(why)) => return Some(Answer::Retry(why)),
            }
        }
    }

    /// The event as the app sees it.
    fn event(&self, message: &Message) -> Value {
        let is_raw = message.extensions.contains_key(RAW);
        if self.subscription.raw {
            let bytes = if is_raw { message.data.to_vec() } else { message.to_json() };
            let mut event = Message::new(message.id.as_str(), self.sidecar.options.app_id.as_str(), SENT)
                .with_data(Some("application/octet-stream"), bytes);
            event.time = message.time;
            for name in ["topic", "pubsubname", "traceparent", "traceid", "tracestate"] {
                if let Some(value) = message.extensions.get(name) {
                    event.extensions.insert(name.into(), value.clone());
                }
            }
            return structured(&event);
        }
        // Bytes that were published as they are may be an event that the publisher wrapped by itself.
        let wrapped = if is_raw { serde_json::from_slice(&message.data).ok() } else { None };
        match wrapped {
            Some(Value::Object(event)) if event.contains_key("specversion") => Value::Object(event),
            _ => structured(message),
        }
    }

    /// A bulk of one.
    fn bulk(&self, message: &Message) -> Value {
        let event = self.event(message);
        let (event, kind) = match &event["data_base64"] {
            Value::String(bytes) if self.subscription.raw => {
                (bytes.as_str().into(), "application/octet-stream")
            }
            _ => (event, "application/cloudevents+json"),
        };
        json!({
            "id": self.sidecar.ids.next().to_string(),
            "type": "com.dapr.event.sent.bulk",
            "topic": self.subscription.topic,
            "pubsubname": self.subscription.pubsub,
            "metadata": {},
            "entries": [{ "entryId": message.id, "event": event, "contentType": kind, "metadata": {} }],
        })
    }

    /// Ends an event that the app will not handle: a dead letter first, where there is a topic for them.
    async fn unwanted(&self, message: &Message, why: String) -> Verdict {
        let Some(topic) = &self.subscription.dead_letter_topic else { return Verdict::Drop(why) };
        let publish = self.sidecar.broker.publish(topic, vec![message.clone()]);
        match tokio::time::timeout(DEAD_LETTER_MAX, publish).await {
            Ok(Ok(_)) => Verdict::Drop(format!("{why}; it is on the dead-letter topic `{topic}`")),
            Ok(Err(error)) => self.undead(topic, why, chain(&error)),
            Err(_) => self.undead(topic, why, "it took too long".into()),
        }
    }

    fn undead(&self, topic: &str, why: String, because: String) -> Verdict {
        tracing::warn!(topic, why, because, "cannot publish a dead letter; the event stays");
        Verdict::Failed(format!("{why}; and the dead-letter topic `{topic}` did not take it: {because}"))
    }
}

/// The structured form with Dapr's reading of content types: all but binary data that is text goes as text.
fn structured(message: &Message) -> Value {
    let mut event = message.to_value();
    let is_text = message.content_type.as_deref().is_some_and(|kind| !is_binary(kind));
    if let (true, Value::String(bytes)) = (is_text, &event["data_base64"])
        && let Some(text) = BASE64.decode(bytes).ok().and_then(|bytes| String::from_utf8(bytes).ok())
        && let Some(event) = event.as_object_mut()
    {
        event.remove("data_base64");
        event.insert("data".into(), text.into());
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_any_kind_is_shown_as_text_and_bytes_as_bytes() {
        let event =
            |kind, data: &[u8]| structured(&Message::new("1", "s", "t").with_data(Some(kind), data.to_vec()));
        assert_eq!(event("application/x-www-form-urlencoded", b"a=1")["data"], "a=1");
        assert_eq!(event("application/json", b"{oops")["data"], "{oops");
        assert_eq!(event("application/octet-stream", b"abc")["data_base64"], "YWJj");
        assert_eq!(event("image/png", &[0xff, 0xfe])["data_base64"], "//4=");
        assert_eq!(event("application/json", b"[1]")["data"][0], 1);
    }
}
