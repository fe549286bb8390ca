//! What a client is told of a request that does not fit: problem details (RFC 9457) with the places of what is wrong.

use dozen_dataplane::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

/// Places that one answer names. The first few say what is wrong.
pub(super) const FLAWS_MAX: usize = 10;
/// Characters of a place or of a sentence about it: names in both come from the client.
const TOLD_MAX: usize = 200;

/// A part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Path,
    Query,
    Header,
    Cookie,
    Body,
}

impl Part {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Body => "body",
        }
    }
}

/// One thing that is wrong with a request. It never holds a value of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) part: Part,
    /// A JSON pointer into the part.
    pub(super) pointer: String,
    pub(super) detail: String,
}

/// Why a request is refused, or an answer not passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) detail: &'static str,
    pub(super) flaws: Vec<Flaw>,
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
}

impl Refused {
    pub(super) fn new(status: StatusCode, detail: &'static str) -> Self {
        Self { status, detail, flaws: Vec::new(), fields: Vec::new() }
    }

    /// With what is wrong: a body that can be read and does not fit is a 422, all else a 400.
    pub(super) fn flawed(flaws: Vec<Flaw>) -> Self {
        let of_body = flaws.iter().all(|flaw| flaw.part == Part::Body);
        let status = if of_body { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
        Self { flaws, ..Self::new(status, "the request is not what this path takes") }
    }

    pub(super) fn response(self) -> Response<Body> {
        let told = |text: &str| text.chars().take(TOLD_MAX).collect::<String>();
        let flaws = self.flaws.iter().take(FLAWS_MAX).map(|flaw| {
            let pointer = format!("#{}", told(&flaw.pointer));
            json!({ "in": flaw.part.name(), "pointer": pointer, "detail": told(&flaw.detail) })
        });
        let flaws: Vec<Value> = flaws.collect();
        let mut response = problem(self.status, self.detail, &flaws);
        response.headers_mut().extend(self.fields);
        response
    }
}

/// A problem document, with these errors in it if there are any.
pub(crate) fn problem(status: StatusCode, detail: &str, errors: &[Value]) -> Response<Body> {
    let mut document = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail,
    });
    if !errors.is_empty() {
        document["errors"] = errors.into();
    }
    let mut response = Response::new(Body::from(document.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
