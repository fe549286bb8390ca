//! A request as messages.
//!
//! ```text
//!  application/cloudevents-batch+json   many, each a CloudEvent in its structured form
//!  application/cloudevents+json         one, structured
//!  any other media type                 one: attributes in `ce-` headers, the body is the data
//! ```
//!
//! What a CloudEvent needs and a sender did not name is filled in: `id`, `source`, `time`, and the `type` that the query
//! names. So a plain JSON body is a message too, once it has a type.

use std::borrow::Cow;

use bytes::Bytes;
use dozen_core::{Attribute, Ids, Message, TraceContext, chain};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use crate::Problem;

/// Messages in one batch.
const BATCH_MAX: usize = 1_000;
/// Bytes of an attribute's text. Engines index some of them.
const ATTRIBUTE_MAX: usize = 1_000;

/// What a message gets that its sender did not name.
#[derive(Clone, Copy, Debug)]
pub struct Fill<'a> {
    /// Its `source`.
    pub source: &'a str,
    /// Its `type`.
    pub kind: Option<&'a str>,
    /// Its ordering key.
    pub key: Option<&'a str>,
    /// Makes its `id`, and the trace of a request that belongs to none.
    pub ids: &'a Ids,
}

/// The messages of a request, 1 to 1,000.
pub fn messages(headers: &HeaderMap, body: Bytes, fill: &Fill<'_>) -> Result<Vec<Message>, Problem> {
    let content_type = media_type(headers);
    let mut messages = match content_type.as_str() {
        "application/cloudevents-batch+json" => batch(&body, fill)?,
        "application/cloudevents+json" => {
            let event: Value = serde_json::from_slice(&body)
                .map_err(|error| Problem::invalid("body", format!("the body is no JSON: {error}")))?;
            vec![structured(event, fill).map_err(|problem| problem.at("body"))?]
        }
        other if other.starts_with("application/cloudevents") => {
            return Err(Problem {
                status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
                help: "send application/cloudevents+json, application/cloudevents-batch+json, or the binary mode".into(),
                ..Problem::invalid("header content-type", format!("CloudEvents as `{other}` are not read here"))
            });
        }
        _ => vec![binary(headers, body, &content_type, fill)?],
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let trace = text("traceparent").and_then(|value| value.parse::<TraceContext>().ok());
    let state = trace.and_then(|_| text("tracestate"));
    let trace = trace.unwrap_or_else(|| TraceContext::start(fill.ids));
    let several = messages.len() > 1;
    for (at, message) in messages.iter_mut().enumerate() {
        if !message.extensions.contains_key("traceparent") {
            message.extensions.insert("traceparent".into(), trace.to_string().into());
            if let Some(state) = state {
                message.extensions.insert("tracestate".into(), state.into());
            }
        }
        check(message).map_err(|problem| match (several, problem.at.clone()) {
            (true, Some(part)) => problem.at(format!("message {at}, {part}")),
            _ => problem,
        })?;
    }
    Ok(messages)
}

/// The one message of a request.
pub fn one_message(headers: &HeaderMap, body: Bytes, fill: &Fill<'_>) -> Result<Message, Problem> {
    match &mut messages(headers, body, fill)?[..] {
        [message] => Ok(std::mem::take(message)),
        several => Err(Problem::invalid("body", format!("one message is needed, not {}", several.len()))),
    }
}

fn media_type(headers: &HeaderMap) -> String {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    sent.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

fn batch(body: &[u8], fill: &Fill<'_>) -> Result<Vec<Message>, Problem> {
    let events: Vec<Value> = serde_json::from_slice(body).map_err(|error| {
        Problem::invalid("body", format!("a batch is a JSON array of CloudEvents: {error}"))
    })?;
    if events.is_empty() || events.len() > BATCH_MAX {
        let why = format!("a batch has 1 to {BATCH_MAX} messages, and this one has {}", events.len());
        return Err(Problem::invalid("body", why));
    }
    let each = events.into_iter().enumerate();
    each.map(|(at, event)| structured(event, fill).map_err(|problem| problem.at(format!("message {at}"))))
        .collect()
}

fn structured(event: Value, fill: &Fill<'_>) -> Result<Message, Problem> {
    let Value::Object(mut event) = event else {
        return Err(Problem::invalid("body", "a structured CloudEvent must be one JSON object"));
    };
    for (name, value) in defaults(fill) {
        if event.get(name).is_none_or(Value::is_null) {
            event.insert(name.to_owned(), value.into());
        }
    }
    untyped(event.get("type").is_none())?;
    no_nested(&event)?;
    Message::from_object(event).map_err(|error| Problem::invalid("body", chain(&error)))
}

/// An attribute is a text, a number or a truth. Anything else is data in the wrong place.
fn no_nested(event: &Map<String, Value>) -> Result<(), Problem> {
    let nested =
        |(name, value): &(&String, &Value)| *name != "data" && (value.is_object() || value.is_array());
    match event.iter().find(nested) {
        None => Ok(()),
        Some((name, _)) => Err(Problem::invalid(
            "body",
            format!("the attribute `{name}` must be a text, a number or a truth"),
        )),
    }
}

fn binary(headers: &HeaderMap, body: Bytes, content_type: &str, fill: &Fill<'_>) -> Result<Message, Problem> {
    let has = |name: &str| headers.contains_key(name);
    if headers.get("ce-specversion").is_some_and(|version| version != "1.0") {
        return Err(Problem::invalid("header ce-specversion", "only CloudEvents 1.0 is read here"));
    }
    untyped(!has("ce-type") && fill.kind.is_none())?;
    let looks_like_json = matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
        && serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
    // What `curl -d` calls everything that it sends.
    let is_curls = content_type == "application/x-www-form-urlencoded" && looks_like_json;
    // What is filled in comes first, so that what the sender says replaces it. Headers are percent-encoded.
    let filled: Vec<(String, String)> =
        defaults(fill).map(|(name, value)| (format!("ce-{name}"), value.replace('%', "%25"))).collect();
    let filled = filled.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let sent = headers.iter().filter(|(name, _)| !(is_curls && *name == header::CONTENT_TYPE));
    let sent = sent.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let all = [("ce-specversion", &b"1.0"[..])].into_iter().chain(filled).chain(sent);
    let message = Message::from_http(all, body)
        .map_err(|error| Problem::invalid("header", chain(&error)))?
        .ok_or_else(|| Problem::invalid("body", "this is no message"))?;
    let claims_json = message.is_json() && !message.data.is_empty();
    // An event in binary mode is carried as it is; a plain body is ours to check.
    if claims_json && !has("ce-specversion") {
        serde_json::from_slice::<serde::de::IgnoredAny>(&message.data)
            .map_err(|error| Problem::invalid("body", format!("the body is no JSON: {error}")))?;
    }
    Ok(message)
}

fn untyped(is_untyped: bool) -> Result<(), Problem> {
    match is_untyped {
        false => Ok(()),
        true => Err(Problem {
            help: "name it: `?type=order.placed`, a header `ce-type`, or the attribute `type`".into(),
            ..Problem::invalid("query type", "the message has no type")
        }),
    }
}

/// The attributes that a message gets where its sender is silent.
fn defaults<'a>(fill: &Fill<'a>) -> impl Iterator<Item = (&'static str, Cow<'a, str>)> {
    let always = [
        ("id", Cow::from(fill.ids.next().to_string())),
        ("source", Cow::from(fill.source)),
        ("time", Cow::from(fill.ids.clock().now().to_string())),
    ];
    let kind = fill.kind.map(|kind| ("type", Cow::from(kind)));
    let key = fill.key.map(|key| ("dozenkey", Cow::from(key)));
    always.into_iter().chain(kind).chain(key)
}

/// What the specification asks of attributes, and what engines can keep.
fn check(message: &Message) -> Result<(), Problem> {
    let bad_name = |name: &str| {
        name.is_empty() || name.bytes().any(|byte| !byte.is_ascii_lowercase() && !byte.is_ascii_digit())
    };
    if let Some(name) = message.extensions.keys().find(|name| bad_name(name)) {
        let shown: String = name.chars().take(100).collect();
        return Err(Problem::invalid(
            "attribute",
            format!("`{shown}` names no attribute: CloudEvents allows lower-case letters and digits"),
        ));
    }
    let optional = |name, text: &'_ Option<String>| text.clone().map(|text| (name, text));
    let fixed = [
        Some(("id", message.id.clone())),
        Some(("source", message.source.clone())),
        Some(("type", message.kind.clone())),
        optional("subject", &message.subject),
        optional("datacontenttype", &message.content_type),
        optional("dataschema", &message.data_schema),
    ];
    let fixed = fixed.into_iter().flatten();
    let extensions = message.extensions.iter().filter_map(|(name, value)| match value {
        Attribute::Text(text) => Some((name.as_str(), text.clone())),
        _ => None,
    });
    for (name, text) in fixed.chain(extensions) {
        if text.len() > ATTRIBUTE_MAX {
            let why = format!("it is {} bytes, and an attribute may be {ATTRIBUTE_MAX}", text.len());
            return Err(Problem::invalid(format!("attribute {name}"), why));
        }
        if text.chars().any(char::is_control) {
            return Err(Problem::invalid(format!("attribute {name}"), "it holds a control character"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dozen_core::{ManualClock, Timestamp};
    use std::sync::Arc;

    fn read(headers: &[(&str, &str)], kind: Option<&str>, body: &str) -> Result<Vec<Message>, String> {
        let ids = Ids::new(Arc::new(ManualClock::new(Timestamp(1_790_000_000_000_000))), 1);
        let fill = Fill { source: "/queue/100%", kind, key: None, ids: &ids };
        let header = |(name, value): &(&str, &str)| {
            (http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap())
        };
        let headers = headers.iter().map(header).collect();
        messages(&headers, Bytes::copy_from_slice(body.as_bytes()), &fill)
            .map_err(|problem| problem.detail.into())
    }

    const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json; charset=utf-8");
    const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

    #[test]
    fn every_form_is_read_and_what_is_missing_is_filled_in() {
        let plain = &read(&[("content-type", "application/json")], Some("t"), r#"{"a":1}"#).unwrap()[0];
        assert_eq!((plain.kind.as_str(), plain.source.as_str()), ("t", "/queue/100%"));
        assert!(!plain.id.is_empty() && plain.time.is_some() && plain.trace().is_some());
        let binary =
            [("ce-specversion", "1.0"), ("ce-id", "7"), ("ce-source", "/a"), ("ce-type", "order%20placed")];
        let binary = &read(&binary, None, "x").unwrap()[0];
        assert_eq!(
            (binary.id.as_str(), binary.source.as_str(), binary.kind.as_str()),
            ("7", "/a", "order placed")
        );
        let structured =
            &read(&[STRUCTURED], None, r#"{"type":"t","data":{"a":1},"dozenkey":"k"}"#).unwrap()[0];
        assert_eq!((&structured.data[..], structured.key()), (&br#"{"a":1}"#[..], Some("k")));
        assert_eq!(read(&[BATCH], None, r#"[{"type":"t"},{"type":"u","id":"2"}]"#).unwrap().len(), 2);
    }

    #[test]
    fn what_curl_calls_a_form_is_json_when_it_is() {
        let form = ("content-type", "application/x-www-form-urlencoded");
        assert_eq!(read(&[form], Some("t"), r#"{"a":1}"#).unwrap()[0].content_type, None);
        assert_eq!(read(&[form], Some("t"), "a=1").unwrap()[0].content_type.as_deref(), Some(form.1));
    }

    #[test]
    fn the_trace_of_the_request_is_that_of_its_messages() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let headers = [STRUCTURED, ("traceparent", trace), ("tracestate", "a=b")];
        let message = &read(&headers, None, r#"{"type":"t"}"#).unwrap()[0];
        assert_eq!(
            (message.extension("traceparent"), message.extension("tracestate")),
            (Some(trace), Some("a=b"))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = format!(r#"{{"type":"{}"}}"#, "x".repeat(1_001));
        for (headers, body, says) in [
            (&[][..], "{}", "no type"),
            (&[("ce-type", "t")][..], "{oops", "no JSON"),
            (&[("ce-type", "t"), ("ce-specversion", "0.3")][..], "", "1.0"),
            (&[("ce-type", "t"), ("ce-a-b", "1")][..], "", "`a-b` names no attribute"),
            (&[STRUCTURED][..], "[]", "one JSON object"),
            (&[STRUCTURED][..], "{", "no JSON"),
            (&[STRUCTURED][..], r#"{"type":"t","extra":{"a":1}}"#, "`extra` must be"),
            (&[STRUCTURED][..], r#"{"type":"a\u0000b"}"#, "control character"),
            (&[STRUCTURED][..], long.as_str(), "1001 bytes"),
            (&[BATCH][..], "[]", "1 to 1000"),
            (&[BATCH][..], r#"[{"type":"t"},{}]"#, "no type"),
            (&[("content-type", "application/cloudevents+avro")][..], "", "not read here"),
        ] {
            let error = read(headers, None, body).unwrap_err();
            assert!(error.contains(says), "{body}: {error}");
        }
    }
}
