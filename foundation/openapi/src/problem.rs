//! Refusals on the wire: RFC 9457 problem details that say what, where and what to do.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use dozen_core::{Diagnose as _, Fault, Retry, chain};
use dozen_messaging::Error;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

/// One refused request.
#[derive(Debug)]
pub struct Problem {
    /// The status of the answer.
    pub status: StatusCode,
    /// The last part of the problem's type, and its page `docs/errors/<page>.md`.
    pub page: &'static str,
    /// What kind of thing is wrong.
    pub title: &'static str,
    /// What was wrong here.
    pub detail: Box<str>,
    /// The part of the request that was wrong, where one can be named.
    pub at: Option<Box<str>>,
    /// What to do.
    pub help: String,
    /// Numbers and names that a program may act on.
    pub more: Option<Box<Map<String, Value>>>,
    /// Seconds after which it may be tried again.
    pub retry_after: Option<u32>,
}

impl Problem {
    /// A request that cannot be read as what it should be; `at` names the part.
    pub fn invalid(at: impl Into<Box<str>>, detail: impl Into<Box<str>>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            page: "invalid-request",
            title: "The request cannot be read",
            detail: detail.into(),
            at: Some(at.into()),
            help: "correct the part that `at` names; /dozen/v1/openapi.json describes every operation".into(),
            more: None,
            retry_after: None,
        }
    }

    /// There is no `kind` of this name; `near` may have been meant.
    pub fn unknown(kind: &str, name: &str, near: &[String]) -> Self {
        let shown: String = name.chars().take(200).collect();
        Self {
            status: StatusCode::NOT_FOUND,
            page: "unknown-name",
            title: "There is nothing of that name",
            help: match near {
                [] => format!("look up the names that there are, or declare the {kind}"),
                near => format!("did you mean `{}`?", near.join("`, `")),
            },
            at: Some(kind.into()),
            more: Some(Box::new(Map::from_iter([("near".to_owned(), json!(near))]))),
            ..Self::invalid("", format!("there is no {kind} `{shown}`"))
        }
    }

    /// A body, or a message in it, beyond what is taken.
    pub fn too_large(what: &str, bytes: Option<u64>, bytes_max: u64) -> Self {
        let sent = bytes.map(|bytes| format!(" is {bytes} bytes, and")).unwrap_or_default();
        let mut more = Map::from_iter([("bytes-max".to_owned(), bytes_max.into())]);
        more.extend(bytes.map(|bytes| ("bytes".to_owned(), bytes.into())));
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            page: "message-too-large",
            title: "It is too large",
            help: "send less at once, send a reference to where the data stands, or raise the limit".into(),
            more: Some(Box::new(more)),
            ..Self::invalid("body", format!("{what}{sent} may be {bytes_max} bytes at most"))
        }
    }

    /// The leases have passed on: nothing was changed.
    pub fn lost() -> Self {
        Self {
            status: StatusCode::CONFLICT,
            page: "lease-lost",
            title: "The lease has passed on",
            help:
                "let the message go: another receiver has it, or it is finished. Extend leases while working"
                    .into(),
            ..Self::invalid(
                "lease",
                "the lease has ended and the message was handed out again, or is finished",
            )
        }
    }

    /// Too many requests wait.
    pub fn crowded(waiting_max: usize) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            page: "api-busy",
            title: "Too many requests wait",
            at: None,
            help: "ask without `wait`, ask for more messages at once, or ask again later".into(),
            more: Some(Box::new(Map::from_iter([("waiting-max".to_owned(), waiting_max.into())]))),
            retry_after: Some(1),
            ..Self::invalid("", format!("{waiting_max} requests are waiting already"))
        }
    }

    /// The process stops.
    pub fn stopping() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            page: "api-busy",
            title: "The process stops",
            at: None,
            help: "ask again in a moment: nothing was handed out".into(),
            retry_after: Some(1),
            ..Self::invalid("", "this process is stopping and lets nobody wait any more")
        }
    }

    /// The request carries no token, or another one.
    pub fn unauthorized() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            page: "api-token",
            title: "A token is needed",
            help: "send `Authorization: Bearer <token>` with the token of `api` in the file".into(),
            ..Self::invalid("header authorization", "the request carries no token, or not the right one")
        }
    }

    /// A path or method that is no operation.
    pub fn no_operation(status: StatusCode, method: &str, path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        Self {
            status,
            page: "unknown-path",
            title: "There is no such operation",
            help: "/dozen/v1/openapi.json describes every operation".into(),
            ..Self::invalid("path", format!("`{method} {path}` is no operation of this API"))
        }
    }

    /// The same problem, with the part of the request that it is about.
    #[must_use]
    pub fn at(mut self, at: impl Into<Box<str>>) -> Self {
        self.at = Some(at.into());
        self
    }

    /// The store failed. What it says names files and hosts, so it goes to the log alone.
    fn engine(error: &Error, retry: Retry) -> Self {
        tracing::warn!(error = chain(error), "a request failed");
        let (status, retry_after) = match retry {
            Retry::Never => (StatusCode::INTERNAL_SERVER_ERROR, None),
            Retry::Later => (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
            Retry::After(wait) => (
                StatusCode::SERVICE_UNAVAILABLE,
                Some(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1)),
            ),
        };
        Self {
            status,
            page: "store-unavailable",
            title: "The store failed",
            at: None,
            help: "try again later; the log of dozen says what the store said".into(),
            retry_after,
            ..Self::invalid("", error.to_string())
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match &error {
            Error::Unknown { kind, name, known } => Self::unknown(kind, name, known),
            Error::TooLarge { name, bytes, bytes_max } => {
                Self::too_large(&format!("a message of `{name}`"), Some(*bytes), *bytes_max)
            }
            Error::Full { waiting_max, .. } => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                page: error.page(),
                title: "The queue is full",
                at: None,
                help: "nothing was stored: send it again later, or start more workers".into(),
                more: Some(Box::new(Map::from_iter([("waiting-max".to_owned(), (*waiting_max).into())]))),
                retry_after: Some(1),
                ..Self::invalid("", error.to_string())
            },
            Error::Invalid(what) => Self {
                page: error.page(),
                title: "It is not acceptable",
                ..Self::invalid("message", what.clone())
            },
            Error::Engine { retry, source, .. } => match source.downcast_ref::<dozen_store::Error>() {
                Some(dozen_store::Error::NoReader { reader, .. }) => Self::unknown("reader", reader, &[]),
                Some(told) if told.fault() == Fault::Caller => {
                    Self { page: "invalid-message", ..Self::invalid("message", chain(&error)) }
                }
                _ => Self::engine(&error, *retry),
            },
        }
    }
}

impl From<dozen_store::Error> for Problem {
    fn from(error: dozen_store::Error) -> Self {
        Error::engine("ask the store", error).into()
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::invalid("path", rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid("query", rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("urn:dozen:problem:{}", self.page),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": &*self.detail,
            "help": self.help,
            "docs": format!("docs/errors/{}.md", self.page),
        });
        if let (Some(body), at) = (body.as_object_mut(), self.at) {
            body.extend(at.map(|at| ("at".to_owned(), Value::from(&*at))));
            body.extend(self.more.into_iter().flat_map(|more| *more));
        }
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
