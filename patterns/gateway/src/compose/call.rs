//! One call: what is asked of which service, and what its answer is worth.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dozen_mapping::{Value, json};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};

use super::Wrong;
use super::need::Need;
use super::options::METHODS;
use super::read::{Keys, header as header_name, service};
use super::scope::{Known, Scope};
use super::shape::{Filling, Reading, Shape, Unfit};
use super::status::{Answered, Failure};
use super::words::{Lack, Words};
use crate::text::has_dot_segment;

/// Bytes of an answer, unless the file says otherwise.
const ANSWER_MAX: usize = 1024 * 1024;
/// Values of a body that is made for a call.
const BODY_NODES_MAX: usize = 50_000;

/// A call, checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) name: Arc<str>,
    pub(super) service: Arc<str>,
    pub(super) method: Method,
    /// As it is written: `/orders/{id}`.
    pub(super) target_text: Box<str>,
    target: Words,
    body: Option<Shape>,
    headers: Box<[(HeaderName, Words)]>,
    /// Headers of its answer that go back to the client.
    pub(super) pass_back: Box<[HeaderName]>,
    pub(super) need: Need,
    pub(super) timeout: Option<Duration>,
    /// Bytes of its answer.
    pub(super) answer_max: usize,
    pub(super) answered: Option<Answered>,
    /// The calls that it refers to.
    pub(super) waits_for: Vec<usize>,
}

impl Call {
    pub(super) fn compile(name: &Arc<str>, written: &Value, scope: &mut Scope<'_>) -> Result<Self, Wrong> {
        const KEYS: [&str; 13] = [
            "get",
            "post",
            "put",
            "patch",
            "delete",
            "body",
            "headers",
            "pass-back",
            "need",
            "on-error",
            "default",
            "timeout",
            "max",
        ];
        let keys = Keys::of(written, format!("compose.{name}"))?;
        keys.only(&[&KEYS[..], &["status"]].concat())?;
        let asked: Vec<&str> = METHODS.into_iter().filter(|method| keys.get(method).is_some()).collect();
        let &[verb] = asked.as_slice() else {
            let problem =
                "says not what is asked; give it exactly one of `get`, `post`, `put`, `patch` and `delete`";
            return Err((keys.at, problem.into()));
        };
        let text = keys.text(verb)?.unwrap_or_default();
        let (service, target_text) = service(text);
        let is_service = service.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if service.is_empty() || !is_service || !target_text.starts_with('/') || target_text.starts_with("//")
        {
            return keys.wrong(
                verb,
                format!("is `{text}`; write a service and a path, such as `orders:/orders/{{id}}`"),
            );
        }
        let target = target(target_text, scope).map_err(|problem| (keys.place(verb), problem))?;
        let body =
            keys.get("body").map(|body| Shape::parse(body, &keys.place("body"), Reading::Texts, scope));
        let body = body.transpose()?;
        if body.is_some() && matches!(verb, "get" | "delete") {
            return keys.wrong("body", format!("means nothing for `{verb}`"));
        }
        let answered = match keys.get("status").map(Answered::read) {
            Some(None) => return keys.wrong("status", "is neither `pass` nor a status from 400 to 599"),
            read => read.flatten(),
        };
        let headers = headers(&keys, scope)?;
        Ok(Self {
            name: name.clone(),
            service: service.into(),
            method: Method::from_bytes(verb.to_ascii_uppercase().as_bytes()).unwrap_or_default(),
            target_text: target_text.into(),
            target,
            body,
            headers,
            pass_back: keys.headers("pass-back")?,
            need: Need::read(&keys)?,
            timeout: keys.duration("timeout")?,
            answer_max: keys.size("max")?.unwrap_or(ANSWER_MAX),
            answered,
            waits_for: Vec::new(),
        })
    }

    /// The request, with `passed` among its headers; or why it cannot be made. What the request of the client does not have
    /// is empty in the path, and leaves out a header or a member of the body. What another call did not give prevents it.
    pub(super) fn request(&self, known: Known<'_>, passed: HeaderMap) -> Result<Request<Bytes>, Failure> {
        let lacks = |lack| match lack {
            Lack::Body => Failure::Request,
            _ => Failure::Skipped,
        };
        // What fits nowhere is from the client, unless other calls had a part in it.
        let unusable = if self.waits_for.is_empty() { Failure::Request } else { Failure::Skipped };
        let mut target = String::with_capacity(64);
        let lack = self.target.write(&known, &mut target);
        if lack > Lack::Fact {
            return Err(lacks(lack));
        }
        if has_dot_segment(&target) || target.starts_with("//") {
            return Err(unusable);
        }
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = target.parse().map_err(|_| unusable)?;
        *request.headers_mut() = passed;
        for (name, words) in &self.headers {
            let mut text = String::new();
            match words.write(&known, &mut text) {
                Lack::Nothing => {
                    // Texts of others may hold what a header cannot.
                    let value = HeaderValue::from_str(&text).map_err(|_| unusable)?;
                    request.headers_mut().insert(name.clone(), value);
                }
                Lack::Fact => drop(request.headers_mut().remove(name)),
                lack => return Err(lacks(lack)),
            }
        }
        if let Some(shape) = &self.body {
            let mut filling = Filling { known, is_strict: true, room: BODY_NODES_MAX };
            let body = shape.fill(&mut filling).map_err(|unfit| match unfit {
                Unfit::Lacks(lack) => lacks(lack),
                Unfit::NoObject(_) => Failure::Form,
                Unfit::TooLarge => Failure::TooLarge,
            })?;
            *request.body_mut() = json::write(&body.unwrap_or_default()).into();
            let kind = HeaderValue::from_static("application/json");
            request.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        Ok(request)
    }
}

fn target(text: &str, scope: &mut Scope<'_>) -> Result<Words, String> {
    if has_dot_segment(text) {
        return Err("holds `.` or `..`".into());
    }
    // Between braces stand references, which may have blanks.
    let mut is_inside = false;
    for byte in text.bytes() {
        is_inside = byte == b'{' || (is_inside && byte != b'}');
        let is_fine = byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'<' | b'>' | b'\\');
        if !is_inside && !is_fine {
            return Err(format!("holds `{}`, which has to be escaped", char::from(byte).escape_default()));
        }
    }
    Words::parse(text, true, scope)
}

fn headers(keys: &Keys<'_>, scope: &mut Scope<'_>) -> Result<Box<[(HeaderName, Words)]>, Wrong> {
    let Some(written) = keys.get("headers") else { return Ok(Box::default()) };
    let keys = Keys::of(written, keys.place("headers"))?;
    let one = |(name, value): (&Arc<str>, &Value)| {
        let Some(header) = header_name(name) else {
            return keys.wrong(name, "is no header that can be sent");
        };
        let Some(text) = value.as_text() else { return keys.wrong(name, "is no text") };
        let words = Words::parse(text, false, scope).map_err(|problem| (keys.place(name), problem))?;
        let is_visible = text.bytes().all(|byte| (32..127).contains(&byte));
        if is_visible { Ok((header, words)) } else { keys.wrong(name, "holds what no header can") }
    };
    keys.object.iter().map(one).collect()
}
