//! Refusals in Dapr's words: a status, a code that SDKs know, and a sentence.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// One refused call.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    /// From Dapr's catalogue; SDKs branch on it.
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// An API of Dapr's that is not served.
    pub(crate) fn unimplemented(api: &str) -> Self {
        let message = format!("the {api} API is not served by this sidecar");
        Self::new(StatusCode::NOT_IMPLEMENTED, "ERR_API_UNIMPLEMENTED", message)
    }

    /// A call to an app that could not be made.
    pub(crate) fn invoke(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, "ERR_DIRECT_INVOKE", message)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = json!({ "errorCode": self.code, "message": self.message }).to_string();
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        (self.status, [kind], body).into_response()
    }
}
