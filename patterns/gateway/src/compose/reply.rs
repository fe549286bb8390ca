//! What the client gets: the document, the list of what is missing, the headers, the status.

use dozen_dataplane::Body;
use dozen_mapping::{Limits, Mapping, Object, Value, json};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::call::Call;
use super::plan::Plan;
use super::scope::Known;
use super::shape::{Filling, Shape};
use super::status::{Complete, Failure};

/// Values of a document that is made for a client.
const NODES_MAX: usize = 200_000;
/// Names what is missing, also where the document has no place for it.
const MISSING: HeaderName = HeaderName::from_static("dozen-missing");

/// What is made of the answers.
#[derive(Debug)]
pub(super) enum Reply {
    /// An object with a member for each call.
    Each,
    /// What is written.
    Shape(Shape),
    /// What a mapping makes of an object with a member for each call.
    Table(Mapping),
}

/// What the calls have given so far.
#[derive(Debug)]
pub(super) struct Gathered {
    /// For each call what it stands for, if for anything.
    pub(super) results: Box<[Option<Value>]>,
    /// For each call that was answered, the head.
    pub(super) heads: Box<[Option<(StatusCode, HeaderMap)>]>,
    /// The calls that gave nothing, and why.
    pub(super) missing: Vec<(usize, Failure)>,
}

impl Gathered {
    pub(super) fn new(calls: usize) -> Self {
        Self {
            results: (0..calls).map(|_| None).collect(),
            heads: (0..calls).map(|_| None).collect(),
            missing: Vec::new(),
        }
    }
}

/// The answer when nothing failed that the whole needs.
pub(super) fn whole(plan: &Plan, gathered: &mut Gathered, known: Known<'_>) -> Response<Body> {
    gathered.missing.sort_unstable_by_key(|(at, _)| *at);
    let mut document = match document(plan, known) {
        Ok(document) => document,
        Err(why) => {
            tracing::debug!(why, "a composed answer cannot be put together");
            let status = plan.table.failed(Failure::Form, None);
            return problem(status, "what the services answered does not fit together", &[]);
        }
    };
    let missing = gathered.missing.iter();
    let missing: Vec<(&Call, Failure)> = missing.map(|(at, failure)| (&plan.calls[*at], *failure)).collect();
    if let (Value::Object(object), Some(errors)) = (&mut document, &plan.errors) {
        // What a service says of errors of its own must not be taken for ours.
        if object.get(errors).is_some() {
            let others = std::mem::take(object).into_iter().filter(|(name, _)| name != errors);
            others.for_each(|(name, value)| drop(object.insert(name, value)));
        }
        if !missing.is_empty() {
            object.insert(errors.clone(), list(&missing));
        }
    }
    let complete = match plan.table.complete {
        Complete::Is(status) => status,
        Complete::Call(at) => gathered.heads[at].as_ref().map_or(StatusCode::OK, |(status, _)| *status),
    };
    let status = if missing.is_empty() { complete } else { plan.table.partial.unwrap_or(complete) };
    let mut response = Response::new(Body::from(json::write(&document)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (call, head) in plan.calls.iter().zip(&gathered.heads) {
        let Some((_, answered)) = head else { continue };
        for name in &call.pass_back {
            headers.extend(answered.get_all(name).iter().map(|value| (name.clone(), value.clone())));
        }
    }
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|(call, _)| &*call.name).collect();
        if let Ok(names) = HeaderValue::from_str(&names.join(", ")) {
            headers.insert(MISSING, names);
        }
        // Whoever comes next may get all of it.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// The answer when a call failed without which there is none.
pub(super) fn failed(plan: &Plan, at: usize, failure: Failure) -> Response<Body> {
    let call = &plan.calls[at];
    let status = plan.table.failed(failure, call.answered);
    let detail = format!("`{}` is a part of this answer, and {}", call.name, failure.sentence());
    let mut response = problem(status, &detail, &[(call, failure)]);
    if let Failure::Unavailable { retry_after: Some(seconds) } = failure {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// A problem document (RFC 9457), with what is missing.
pub(super) fn problem(status: StatusCode, detail: &str, missing: &[(&Call, Failure)]) -> Response<Body> {
    let mut members = vec![
        ("type", Value::from("about:blank")),
        ("title", Value::from(status.canonical_reason().unwrap_or("Error"))),
        ("status", Value::from(i64::from(status.as_u16()))),
        ("detail", Value::from(detail)),
    ];
    if !missing.is_empty() {
        members.push(("errors", list(missing)));
    }
    let mut response = Response::new(Body::from(json::write(&Value::object(members))));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn list(missing: &[(&Call, Failure)]) -> Value {
    let one = |(call, failure): &(&Call, Failure)| {
        Value::object([
            ("name", Value::text(call.name.clone())),
            ("status", Value::from(i64::from(failure.status().as_u16()))),
            ("detail", Value::from(failure.sentence())),
        ])
    };
    Value::List(missing.iter().map(one).collect())
}

fn document(plan: &Plan, known: Known<'_>) -> Result<Value, String> {
    match &plan.reply {
        Reply::Each => Ok(each(plan, known)),
        Reply::Shape(shape) => {
            let filled = shape.fill(&mut Filling { known, is_strict: false, room: NODES_MAX });
            filled.map(Option::unwrap_or_default).map_err(|unfit| format!("{unfit:?}"))
        }
        Reply::Table(mapping) => {
            let made = mapping.apply(&each(plan, known), &Limits::default());
            made.map(|made| made.value).map_err(|failure| failure.to_string())
        }
    }
}

fn each(plan: &Plan, known: Known<'_>) -> Value {
    let mut object = Object::with_capacity(plan.calls.len());
    for (call, result) in plan.calls.iter().zip(known.results) {
        if let Some(result) = result {
            object.insert(call.name.clone(), result.clone());
        }
    }
    Value::Object(object)
}
