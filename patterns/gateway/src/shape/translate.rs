//! Requests and answers in another form: what a route says of their bodies, queries, headers and statuses.

use dozen_mapping::{Format, Limits, Mapping, Value};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::problem::{Flaw, Part, Refused};
use super::schemas::{object, pairs};
use super::through::{Through, compile, flaw};
use super::{Given, Wrong};
use crate::compose::Keys;
use crate::options::Translation;

/// Bytes of a service's answer that is translated, unless the file says otherwise.
const ANSWER_MAX: usize = 4 * 1024 * 1024;
/// Names of headers that a table of headers may not make.
const NOT_OURS: [&str; 10] = [
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What becomes of a request on its way to the service.
#[derive(Debug)]
pub(super) struct OfRequest {
    pub(super) body: Option<Through>,
    query: Option<Mapping>,
    headers: Option<Mapping>,
}

/// What becomes of an answer on its way to the client.
#[derive(Debug)]
pub(super) struct OfResponse {
    pub(super) body: Option<Through>,
    statuses: Box<[(Statuses, StatusCode)]>,
    pub(super) max: usize,
}

/// One status, or a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statuses {
    One(u16),
    Hundred(u16),
}

impl OfRequest {
    pub(super) fn compile(written: &Translation) -> Result<Self, Wrong> {
        let keys = Keys::of(&written.0, "request")?;
        keys.only(&["body", "query", "headers"])?;
        let rule = |name: &str| keys.get(name).map(|rule| compile(rule, &keys.place(name))).transpose();
        let body = keys.get("body").map(|body| Through::compile(body, &keys.place("body"))).transpose()?;
        Ok(Self { body, query: rule("query")?, headers: rule("headers")? })
    }

    /// The query that the service is asked with, if it is another.
    pub(super) fn query(&self, scope: &Value) -> Option<Result<String, Refused>> {
        let mapping = self.query.as_ref()?;
        let made = made(mapping, scope).and_then(|value| {
            let form = Format::parse(&"form".into(), "").map_err(|_| refused())?;
            let bytes = form.encode(&value).map_err(|error| failed(&error, "a query"))?;
            String::from_utf8(bytes).map_err(|_| refused())
        });
        Some(made)
    }

    /// The headers that the service is asked with besides the others: a list is several, and null none. Gives them as
    /// lines, too: requests that differ in them are not the same.
    pub(super) fn headers(&self, scope: &Value, headers: &mut HeaderMap) -> Result<String, Refused> {
        let mut lines = String::new();
        let Some(mapping) = &self.headers else { return Ok(lines) };
        let Value::Object(object) = made(mapping, scope)? else { return Err(refused()) };
        for (name, value) in object {
            let known = HeaderName::from_bytes(name.as_bytes()).ok();
            let Some(name) = known.filter(|name| !NOT_OURS.contains(&name.as_str())) else {
                tracing::debug!(name = &*name, "a table of headers makes one that is not its business");
                return Err(refused());
            };
            headers.remove(&name);
            lines.push_str(&format!("\n{name}:"));
            let values = match value {
                Value::List(values) => values,
                one => vec![one],
            };
            for value in values {
                let text = match value {
                    Value::Null => continue,
                    Value::Text(text) => text.to_string(),
                    Value::Number(_) | Value::Bool(_) => dozen_mapping::json::write(&value),
                    Value::List(_) | Value::Object(_) => return Err(refused()),
                };
                let value = HeaderValue::from_str(&text).map_err(|_| refused())?;
                lines.push_str(&format!("{}\t", value.as_bytes().escape_ascii()));
                headers.append(name.clone(), value);
            }
        }
        Ok(lines)
    }

    /// What tables of the query and of the headers see.
    pub(super) fn scope(&self, given: &Given, names: &[Box<str>], headers: &HeaderMap) -> Value {
        if self.query.is_none() && self.headers.is_none() {
            return Value::Null;
        }
        let captures = names.iter().zip(&given.captures);
        let captures = captures.map(|(name, value)| (name.to_string(), plain(value)));
        let fields = headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let tree = |json: serde_json::Value| serde_json::from_value::<Value>(json).unwrap_or_default();
        Value::object([
            ("method", Value::text(given.method.clone())),
            ("path", tree(object(captures))),
            ("query", tree(object(pairs(given.query.as_deref())))),
            ("headers", tree(object(fields))),
        ])
    }
}

/// What a piece of a path stands for.
pub(super) fn plain(piece: &str) -> String {
    String::from_utf8_lossy(&crate::asked::decoded(&piece.replace('+', "%2B"))).into_owned()
}

impl OfResponse {
    pub(super) fn compile(written: &Translation) -> Result<Self, Wrong> {
        let keys = Keys::of(&written.0, "response")?;
        keys.only(&["body", "status", "max"])?;
        let body = keys.get("body").map(|body| Through::compile(body, &keys.place("body"))).transpose()?;
        let mut statuses = Vec::new();
        if let Some(table) = keys.get("status") {
            let table = Keys::of(table, keys.place("status"))?;
            for (from, to) in table.object.iter() {
                let Some(known) = Statuses::parse(from) else {
                    return table.wrong(from, "is no status such as `404`, and no hundred such as `5xx`");
                };
                let wanted = match to {
                    Value::Number(number) => number.as_i64().and_then(|status| u16::try_from(status).ok()),
                    _ => None,
                };
                let wanted = wanted
                    .filter(|status| (200..600).contains(status) && ![204, 205, 206, 304].contains(status));
                match wanted.and_then(|status| StatusCode::from_u16(status).ok()) {
                    Some(wanted) => statuses.push((known, wanted)),
                    None => return table.wrong(from, "becomes no status from 200 to 599 that has a body"),
                }
            }
        }
        // One status comes before its hundred.
        statuses.sort_by_key(|(known, _)| matches!(known, Statuses::Hundred(_)));
        let max = keys.size("max")?.unwrap_or(ANSWER_MAX);
        Ok(Self { body, statuses: statuses.into(), max })
    }

    /// What the client is told in the place of `status`.
    pub(super) fn status(&self, status: StatusCode) -> StatusCode {
        let of = |known: &Statuses| match known {
            Statuses::One(one) => *one == status.as_u16(),
            Statuses::Hundred(hundred) => *hundred == status.as_u16() / 100,
        };
        // These say something of the body or the exchange, and not only of how it went.
        let is_fixed = matches!(status.as_u16(), 100..=199 | 204..=206 | 304);
        let found = self.statuses.iter().find(|(known, _)| !is_fixed && of(known));
        found.map_or(status, |(_, wanted)| *wanted)
    }
}

impl Statuses {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix("xx") {
            Some(hundred) => hundred.parse().ok().filter(|one| (2..=5).contains(one)).map(Self::Hundred),
            None => text.parse().ok().filter(|one| (200..600).contains(one)).map(Self::One),
        }
    }
}

fn made(mapping: &Mapping, scope: &Value) -> Result<Value, Refused> {
    let made = mapping.apply(scope, &Limits::default());
    made.map(|made| made.value)
        .map_err(|failure| Refused { flaws: vec![Flaw { part: Part::Query, ..flaw(&failure) }], ..refused() })
}

fn refused() -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "this request cannot be passed on as it is")
}

fn failed(error: &dozen_mapping::EncodeError, what: &str) -> Refused {
    tracing::debug!(%error, "what a table made is no part of a request: {what}");
    refused()
}
