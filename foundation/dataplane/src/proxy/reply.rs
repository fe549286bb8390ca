//! Answers that need no service.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Changes, Failure};
use crate::framing::{self, Refusal};
use crate::{Body, problem_document};

/// An answer of the proxy's own.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// What stands in it.
    pub content: Content,
    /// Further headers.
    pub fields: Vec<(&'static str, String)>,
}

/// What stands in a [`Reply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Problem details (RFC 9457) with one sentence for the client, which names nothing internal.
    Problem(Cow<'static, str>),
    /// Nothing: a redirect, or the answer to a preflight.
    Empty,
    /// These bytes.
    Bytes {
        /// Their `Content-Type`.
        kind: Cow<'static, str>,
        /// The bytes.
        bytes: Bytes,
    },
}

impl Reply {
    /// A problem document without further headers.
    pub fn new(status: u16, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, content: Content::Problem(detail.into()), fields: Vec::new() }
    }

    /// An answer without a body or further headers.
    pub fn empty(status: u16) -> Self {
        Self { status, content: Content::Empty, fields: Vec::new() }
    }

    /// An answer with these bytes.
    pub fn bytes(status: u16, kind: impl Into<Cow<'static, str>>, bytes: impl Into<Bytes>) -> Self {
        Self {
            status,
            content: Content::Bytes { kind: kind.into(), bytes: bytes.into() },
            fields: Vec::new(),
        }
    }

    fn content(&self) -> (Option<&str>, Bytes) {
        match &self.content {
            Content::Problem(detail) => {
                (Some("application/problem+json"), problem_document(self.status, detail).into())
            }
            Content::Empty => (None, Bytes::new()),
            Content::Bytes { kind, bytes } => (Some(kind), bytes.clone()),
        }
    }

    /// Bytes of its body, of which the answer to a `HEAD` has none.
    pub(crate) fn body_length(&self, is_head: bool) -> u64 {
        if is_head { 0 } else { self.content().1.len() as u64 }
    }

    /// Appends all of it as HTTP/1.1; without the body for the answer to a `HEAD`.
    pub(crate) fn write(&self, keep_alive: bool, with_body: bool, changes: &Changes, out: &mut Vec<u8>) {
        let (kind, body) = self.content();
        framing::status_line(self.status, out);
        let mut lines = Changes::default();
        if let Some(kind) = kind {
            lines.add("content-type", kind.as_bytes());
        }
        for (name, value) in self.fields.iter().filter(|(name, _)| !changes.drops(name)) {
            lines.add(name, value.as_bytes());
        }
        out.extend_from_slice(&lines.added.0);
        out.extend_from_slice(&changes.added.0);
        if self.status != 204 && self.status != 304 {
            framing::length_field(body.len() as u64, out);
        }
        if !keep_alive {
            framing::field("connection", b"close", out);
        }
        out.extend_from_slice(b"\r\n");
        if with_body {
            out.extend_from_slice(&body);
        }
    }

    /// The same as a value.
    pub(crate) fn into_response(self) -> http::Response<Body> {
        let (kind, body) = self.content();
        let mut response = http::Response::new(Body::from(body));
        let status = http::StatusCode::from_u16(self.status);
        *response.status_mut() = status.unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let fields = self.fields.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in kind.map(|kind| ("content-type", kind)).into_iter().chain(fields) {
            let name = http::HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, http::HeaderValue::from_str(value)) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.status(), refusal.to_string())
    }
}

impl Failure {
    /// What the client is told, if it is still there.
    pub(crate) fn reply(self) -> Option<Reply> {
        Some(match self {
            Self::NoEndpoint(why) => {
                let mut reply = Reply::new(503, "the service is not available at the moment");
                let wait = why.retry_after_seconds();
                reply.fields.extend(wait.map(|seconds| ("retry-after", seconds.to_string())));
                reply
            }
            Self::Connect | Self::Broken | Self::Refused(_) => {
                Reply::new(502, "the service did not give an answer that can be passed on")
            }
            Self::TimedOut | Self::NoTime | Self::Idle => {
                Reply::new(504, "the service did not answer in time")
            }
            Self::Request(refusal) => Reply::from(refusal),
            Self::ClientGone | Self::Cutoff | Self::Stopped => return None,
        })
    }
}
