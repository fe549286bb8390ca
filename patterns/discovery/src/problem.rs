//! Errors on the wire: RFC 9457 problem details that say what, where and what to do.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use dozen_core::Diagnose as _;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::Error;

/// One refused request.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// The last part of the problem's type, and its page in the documentation.
    pub(crate) page: &'static str,
    pub(crate) title: &'static str,
    /// What was wrong here.
    pub(crate) detail: String,
    /// The part of the request that was wrong, where one can be named.
    pub(crate) at: Option<String>,
    /// What to do.
    pub(crate) help: &'static str,
}

impl Problem {
    /// A body that cannot be read as what it should be.
    pub(crate) fn body(detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            page: "invalid-registration",
            title: "The body is no registration",
            detail: detail.into(),
            at: Some("body".into()),
            help: "send a JSON object like {\"address\": \"127.0.0.1:8080\", \"ttl\": \"15s\"}; \
                   `zone`, `weight` and `metadata` may stand beside them",
        }
    }

    /// A body beyond what is read.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            page: "invalid-registration",
            title: "The body is too large",
            detail: format!("a registration may be {bytes_max} bytes"),
            at: Some("body".into()),
            help: "put less into `metadata`",
        }
    }

    /// A query parameter that cannot be read.
    pub(crate) fn query(at: &str, detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            page: "invalid-query",
            title: "The query cannot be read",
            detail: detail.into(),
            at: Some(format!("query {at}").trim().to_owned()),
            help: "the parameters are `all=true`, `version=<number>` and `wait=<duration>`, for example `wait=30s`",
        }
    }

    /// A path that no API has.
    pub(crate) fn no_route(status: StatusCode, method: &str, path: &str) -> Self {
        Self {
            status,
            page: "unknown-path",
            title: "There is no such operation",
            detail: format!("`{method} {path}` is not part of the registry's API"),
            at: Some("path".into()),
            help: "use PUT or DELETE /dozen/v1/services/{service}/instances/{id}, POST …/{id}/heartbeat, \
                   GET /dozen/v1/services or GET /dozen/v1/services/{service}",
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let page = error.page();
        let detail = error.to_string();
        let (status, title, help, at) = match error {
            Error::Invalid { what, .. } => (
                StatusCode::BAD_REQUEST,
                "The registration is not acceptable",
                "correct the part that `at` names and send it again",
                Some(what),
            ),
            Error::Full { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The registry is full",
                "try again later, or raise the registry's limits",
                None,
            ),
            Error::Unknown { .. } => (
                StatusCode::NOT_FOUND,
                "There is no such instance",
                "register again with PUT: the instance was removed, or the registry was restarted",
                Some("id".into()),
            ),
            Error::Declared { .. } => (
                StatusCode::CONFLICT,
                "The instance belongs to the configuration",
                "choose another id, or change the configuration",
                Some("id".into()),
            ),
        };
        Self { status, page, title, detail, at, help }
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        let detail = rejection.body_text();
        Self { detail, ..Self::no_route(StatusCode::BAD_REQUEST, "", "") }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::query("", rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("urn:dozen:problem:{}", self.page),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "help": self.help,
        });
        if let Some(at) = self.at {
            body["at"] = at.into();
        }
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
