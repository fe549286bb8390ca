//! From what an app published to a CloudEvent, by Dapr's rules.
//!
//! ```text
//! application/cloudevents+json ─► taken as it is; what is missing is filled in
//! metadata.rawPayload=true ─────► the bytes, marked `dozenraw`: a subscriber sees them as if nobody had wrapped them
//! anything else ────────────────► wrapped: type com.dapr.event.sent, source the app, data by its content type
//! ```
//!
//! `metadata.cloudevent.<attribute>` overrides an attribute, `ttlInSeconds` becomes `expiration`, and `partitionKey`
//! becomes the ordering key.

use std::time::Duration;

use bytes::Bytes;
use dozen_core::{Attribute, Ids, Message, Timestamp, TraceContext};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::fault::Fault;
use crate::query::{Metadata, flag};

/// The type of an event whose sender named none.
pub(crate) const SENT: &str = "com.dapr.event.sent";
/// Marks a message that was published without an envelope.
pub(crate) const RAW: &str = "dozenraw";

/// What is the same for every event of one request.
pub(crate) struct Context<'a> {
    pub(crate) app_id: &'a str,
    pub(crate) pubsub: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) trace: TraceContext,
    pub(crate) trace_state: Option<String>,
    pub(crate) ids: &'a Ids,
}

/// The trace that a request belongs to; a new one when it belongs to none.
pub(crate) fn trace(headers: &HeaderMap, ids: &Ids) -> TraceContext {
    let sent = headers.get("traceparent").and_then(|value| value.to_str().ok()?.parse().ok());
    sent.unwrap_or_else(|| TraceContext::start(ids))
}

/// The trace state that a request carries.
pub(crate) fn trace_state(headers: &HeaderMap) -> Option<String> {
    headers.get("tracestate").and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The message for one published event.
pub(crate) fn wrap(
    context: &Context<'_>,
    content_type: Option<&str>,
    metadata: &Metadata,
    data: Bytes,
) -> Result<Message, Fault> {
    let raw = flag(metadata, "rawpayload")?;
    let content_type = content_type.map(str::trim).filter(|kind| !kind.is_empty()).unwrap_or("text/plain");
    let mut message = if !raw && is_cloud_event(content_type) {
        taken(context, &data)?
    } else {
        fresh(context, SENT).with_data(Some(content_type), data)
    };
    fill(&mut message, context);
    if raw {
        message.extensions.insert(RAW.into(), Attribute::Boolean(true));
    }
    for (key, value) in metadata {
        if let Some(name) = key.strip_prefix("cloudevent.") {
            set(&mut message, name, value)?;
        }
    }
    if let Some(expiration) = expiration(metadata, context.ids.clock().now())? {
        message.extensions.insert("expiration".into(), Attribute::Text(expiration.to_string()));
    }
    match metadata.get("partitionkey") {
        Some(key) if !key.is_empty() => Ok(message.with_key(key.as_str())),
        _ => Ok(message),
    }
}

fn fresh(context: &Context<'_>, kind: &str) -> Message {
    Message::new(context.ids.next().to_string(), context.app_id, kind)
}

/// Whether a body of this media type is a CloudEvent in its structured form.
pub(crate) fn is_cloud_event(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or("").trim();
    kind.eq_ignore_ascii_case("application/cloudevents+json")
}

/// A CloudEvent as the app made it, with what the specification requires filled in.
fn taken(context: &Context<'_>, data: &[u8]) -> Result<Message, Fault> {
    let cannot = |why: String| {
        let message = format!("cannot create a CloudEvent from the body: {why}");
        Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "ERR_PUBSUB_CLOUD_EVENTS_SER", message)
    };
    let value = serde_json::from_slice(data).map_err(|error| cannot(error.to_string()))?;
    let Value::Object(mut event) = value else { return Err(cannot("it is no JSON object".into())) };
    for (name, value) in [
        ("id", context.ids.next().to_string()),
        ("source", context.app_id.to_owned()),
        ("type", SENT.to_owned()),
    ] {
        if event.get(name).is_none_or(|present| present.is_null() || *present == "") {
            event.insert(name.to_owned(), value.into());
        }
    }
    Message::from_object(event).map_err(|error| cannot(dozen_core::chain(&error)))
}

/// The attributes that Dapr adds. A trace that the event names itself stays.
fn fill(message: &mut Message, context: &Context<'_>) {
    message.time.get_or_insert_with(|| context.ids.clock().now());
    let mut put = |name: &str, value: &str, replace: bool| {
        if replace || !message.extensions.contains_key(name) {
            message.extensions.insert(name.to_owned(), value.into());
        }
    };
    put("topic", context.topic, true);
    put("pubsubname", context.pubsub, true);
    let trace = context.trace.to_string();
    put("traceparent", &trace, false);
    put("traceid", &trace, false);
    if let Some(state) = &context.trace_state {
        put("tracestate", state, false);
    }
}

/// Overrides one attribute.
fn set(message: &mut Message, name: &str, value: &str) -> Result<(), Fault> {
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !is_name || matches!(name, "data" | "specversion") {
        return Ok(()); // no attribute of a CloudEvent; Dapr passes over it too
    }
    message.set(name.to_owned(), value.into()).map_err(|error| {
        Fault::bad_request("ERR_PUBSUB_REQUEST_METADATA", format!("metadata `cloudevent.{name}`: {error}"))
    })
}

fn expiration(metadata: &Metadata, now: Timestamp) -> Result<Option<Timestamp>, Fault> {
    let Some(text) = metadata.get("ttlinseconds") else { return Ok(None) };
    match text.trim_matches('"').parse::<u32>() {
        Ok(seconds) if seconds > 0 => Ok(Some(now.after(Duration::from_secs(seconds.into())))),
        _ => Err(Fault::bad_request(
            "ERR_PUBSUB_REQUEST_METADATA",
            format!("metadata `ttlInSeconds` must be a whole number of seconds above 0, not `{text}`"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dozen_core::ManualClock;
    use std::sync::Arc;

    fn check(content_type: Option<&str>, metadata: &[(&str, &str)], data: &str) -> Result<Message, Fault> {
        let ids = Ids::new(Arc::new(ManualClock::new(Timestamp(1_790_000_000_000_000))), 1);
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
        let context = Context {
            app_id: "shop",
            pubsub: "pubsub",
            topic: "orders",
            trace,
            trace_state: None,
            ids: &ids,
        };
        let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        wrap(&context, content_type, &metadata, Bytes::copy_from_slice(data.as_bytes()))
    }

    #[test]
    fn a_payload_is_wrapped() {
        let event = check(Some("application/json"), &[], r#"{"total":3}"#).unwrap().to_value();
        for (name, value) in [
            ("specversion", "1.0"),
            ("type", "com.dapr.event.sent"),
            ("source", "shop"),
            ("topic", "orders"),
            ("pubsubname", "pubsub"),
            ("datacontenttype", "application/json"),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("traceid", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("time", "2026-09-21T14:13:20.000000Z"),
        ] {
            assert_eq!(event[name], value, "{name}");
        }
        assert_eq!(event["data"]["total"], 3);
        assert_eq!(check(None, &[], "hi").unwrap().to_value()["data"], "hi");
        assert_eq!(check(None, &[], "hi").unwrap().content_type.as_deref(), Some("text/plain"));
    }

    #[test]
    fn an_event_passes_through_and_is_filled() {
        let sent = r#"{"specversion":"1.0","type":"order.placed","data":{"a":1},"traceparent":"mine"}"#;
        let event = check(Some("application/cloudevents+json; charset=utf-8"), &[], sent).unwrap();
        assert_eq!((event.kind.as_str(), event.source.as_str()), ("order.placed", "shop"));
        assert_eq!(
            (event.extension("traceparent"), event.extension("topic")),
            (Some("mine"), Some("orders"))
        );
        for wrong in ["{", "[]", "7", r#"{"specversion":"0.3"}"#] {
            let fault = check(Some("application/cloudevents+json"), &[], wrong).unwrap_err();
            assert_eq!((fault.status.as_u16(), fault.code), (500, "ERR_PUBSUB_CLOUD_EVENTS_SER"), "{wrong}");
        }
    }

    #[test]
    fn metadata_overrides_expires_and_orders() {
        let metadata =
            [("cloudevent.type", "t"), ("cloudevent.id", "7"), ("ttlinseconds", "60"), ("partitionkey", "k")];
        let event = check(Some("application/json"), &metadata, "1").unwrap();
        assert_eq!((event.kind.as_str(), event.id.as_str(), event.key()), ("t", "7", Some("k")));
        assert_eq!(event.extension("expiration"), Some("2026-09-21T14:14:20.000000Z"));
        for wrong in [
            ("ttlinseconds", "soon"),
            ("ttlinseconds", "-1"),
            ("rawpayload", "maybe"),
            ("cloudevent.time", "x"),
        ] {
            let fault = check(None, &[wrong], "1").unwrap_err();
            assert_eq!(
                (fault.status.as_u16(), fault.code),
                (400, "ERR_PUBSUB_REQUEST_METADATA"),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn a_raw_payload_stays_what_it_is() {
        let event = check(Some("application/cloudevents+json"), &[("rawpayload", "true")], "{oops").unwrap();
        assert_eq!(
            (&event.data[..], event.extensions.get(RAW)),
            (&b"{oops"[..], Some(&Attribute::Boolean(true)))
        );
    }
}
