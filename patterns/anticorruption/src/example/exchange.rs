//! What is kept of a question and its answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header;
use serde::{Deserialize, Serialize};

use crate::foreign::ForeignAnswer;

/// One question to a provider, and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Exchange {
    /// The call that it belongs to.
    pub call: String,
    /// Who is asked.
    pub provider: String,
    /// What is sent.
    pub request: RecordedRequest,
    /// What comes back.
    pub answer: RecordedAnswer,
}

/// A request, as far as it matters: secrets in headers are never recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecordedRequest {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The document, if it is no UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}

/// An answer, or why there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecordedAnswer {
    /// Its status; 200 without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The type of its document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The document, if it is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failed>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failed {
    /// It was not reached.
    Unreachable,
    /// The exchange broke off.
    Broken,
    /// It took too long.
    Timeout,
}

impl RecordedRequest {
    pub(crate) fn of(request: &http::Request<Bytes>) -> Self {
        let (body, body_base64) = written(request.body());
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        Self { method: request.method().to_string(), target: target.to_owned(), body, body_base64 }
    }

    pub(crate) fn bytes(&self) -> Option<Bytes> {
        bytes(self.body.as_deref(), self.body_base64.as_deref())
    }
}

impl RecordedAnswer {
    pub(crate) fn of(answer: &ForeignAnswer) -> Self {
        let (body, body_base64) = written(answer.body());
        let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        Self {
            status: Some(answer.status().as_u16()),
            content_type: kind.map(str::to_owned),
            body,
            body_base64,
            failed: None,
        }
    }

    /// The answer, if there is one that can be.
    pub(crate) fn whole(&self) -> Option<ForeignAnswer> {
        if self.failed.is_some() {
            return None;
        }
        let mut answer = http::Response::builder().status(self.status.unwrap_or(200));
        if let Some(kind) = &self.content_type {
            answer = answer.header(header::CONTENT_TYPE, kind);
        }
        answer.body(bytes(self.body.as_deref(), self.body_base64.as_deref())?).ok()
    }
}

fn written(document: &Bytes) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(document) {
        Ok("") => (None, None),
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(BASE64.encode(document))),
    }
}

fn bytes(text: Option<&str>, base64: Option<&str>) -> Option<Bytes> {
    match (text, base64) {
        (_, Some(base64)) => BASE64.decode(base64).ok().map(Bytes::from),
        (text, None) => Some(Bytes::from(text.unwrap_or_default().to_owned())),
    }
}
