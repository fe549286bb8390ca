//! Answers that need no service, and what a handler changes in those of one.

use std::borrow::Cow;

use bytes::Bytes;

use super::Failure;
use crate::framing::{self, field, is_hop_by_hop, names_equal};
use crate::problem::problem_document;

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

    /// Appends all of it; without the body for the answer to a `HEAD`.
    pub(super) fn write(&self, keep_alive: bool, with_body: bool, changes: &Changes, out: &mut Vec<u8>) {
        let (kind, body) = match &self.content {
            Content::Problem(detail) => {
                (Some("application/problem+json"), problem_document(self.status, detail).into())
            }
            Content::Empty => (None, Bytes::new()),
            Content::Bytes { kind, bytes } => (Some(&**kind), bytes.clone()),
        };
        framing::status_line(self.status, out);
        let fields = self.fields.iter().map(|(name, value)| (*name, value.as_str()));
        let fields = fields.filter(|(name, _)| !changes.drops(name));
        for (name, value) in kind.map(|kind| ("content-type", kind)).into_iter().chain(fields) {
            add(name, value.as_bytes(), out);
        }
        out.extend_from_slice(&changes.added);
        if !matches!(self.status, 204 | 304) {
            out.extend_from_slice(b"content-length: ");
            framing::decimal(body.len() as u64, out);
            out.extend_from_slice(b"\r\n");
        }
        if !keep_alive {
            framing::field("connection", b"close", out);
        }
        out.extend_from_slice(b"\r\n");
        if with_body {
            out.extend_from_slice(&body);
        }
    }
}

/// What a handler changes in the head of an answer.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    dropped: Vec<Cow<'static, str>>,
    pub(super) added: Vec<u8>,
}

impl Changes {
    /// Adds a header beside those of the same name. Headers of the connection and of the framing are not a handler's,
    /// and are left out; so is a value that cannot stand in a header.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        if !is_hop_by_hop(name) && !names_equal(name, "content-length") {
            add(name, value, &mut self.added);
        }
    }

    /// Takes out all headers of this name that the service sent.
    pub fn remove(&mut self, name: impl Into<Cow<'static, str>>) {
        self.dropped.push(name.into());
    }

    pub(super) fn drops(&self, name: &str) -> bool {
        self.dropped.iter().any(|dropped| dropped.eq_ignore_ascii_case(name))
    }
}

fn add(name: &str, value: &[u8], out: &mut Vec<u8>) {
    if value.iter().all(|byte| *byte >= 32 && *byte != 127) {
        field(name, value, out);
    }
}

/// The head of an answer, before it is sent to the client.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The status.
    pub status: u16,
    /// Why this is no service's answer, if it is none.
    pub failure: Option<Failure>,
    pub(super) fields: &'a [framing::Field<'a>],
}

impl<'a> Answered<'a> {
    /// Name and value of each header that the service sent. Names are spelled as it pleased.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.fields.iter().map(|field| (field.name, field.value))
    }
}
