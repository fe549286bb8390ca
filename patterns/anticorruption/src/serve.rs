//! A translator as something that answers HTTP: behind a gateway's route, or invoked through a sidecar.

use std::fmt;
use std::time::Duration;

use dozen_dataplane::resilience::deadline;
use dozen_dataplane::{Body, Context, Serve};
use dozen_mapping::{Format, Limits, Object, Value};
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, header};
use tokio::time::Instant;

use crate::problem::Problem;
use crate::translator::Translator;

/// Answers requests with a translator.
///
/// The input is the body, in the translator's `input-format`; for a method that has no body it is the query, as texts. The
/// answer is the result in its `output-format`, or a problem of RFC 9457. The caller's deadline counts.
#[derive(Clone)]
pub struct Served {
    translator: Translator,
    body_max: usize,
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("translator", &self.translator).finish_non_exhaustive()
    }
}

impl Served {
    /// With `translator`, for bodies of `body_max` bytes at most.
    pub fn new(translator: Translator, body_max: usize) -> Self {
        Self { translator, body_max }
    }

    /// The answer to a request, by `until` at the latest.
    pub async fn answer(self, request: http::Request<Body>, until: Option<Instant>) -> http::Response<Body> {
        let given = given(request.headers());
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let limit = deadline::shorter(given, left).unwrap_or(Duration::MAX);
        let answered = match self.input(request).await {
            Ok(input) => self.translator.call_within(input, limit).await,
            Err(problem) => Err(problem),
        };
        let format = self.translator.output_format();
        let written = answered.and_then(|output| {
            format.encode(&output).map_err(|error| Problem::untranslatable(format!("the result: {error}")))
        });
        match written {
            Ok(document) => response(200, &format.content_type(), document.into(), None),
            Err(problem) => {
                let body = problem.to_json().into();
                response(problem.status, "application/problem+json", body, problem.retry_after)
            }
        }
    }

    async fn input(&self, request: http::Request<Body>) -> Result<Value, Problem> {
        let (parts, body) = request.into_parts();
        if matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE) {
            let Some(query) = parts.uri.query().filter(|query| !query.is_empty()) else {
                return Ok(Value::Object(Object::default()));
            };
            let read = Format::form().decode(query.as_bytes(), None, &Limits::default());
            return read.map_err(|error| Problem::invalid(format!("the query: {error}")));
        }
        let body = body.collect(self.body_max).await;
        let body = body.map_err(|error| Problem::invalid(format!("the body: {error}")))?;
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let read = self.translator.input_format().decode(&body, kind, &Limits::default());
        read.map_err(|error| Problem::invalid(format!("the body: {error}")))
    }
}

/// The time that the caller gives.
fn given(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    deadline::read(header(deadline::HEADER), header(deadline::GRPC_HEADER))
}

fn response(
    status: u16,
    kind: &str,
    body: bytes::Bytes,
    retry_after: Option<Duration>,
) -> http::Response<Body> {
    let mut response = http::Response::new(Body::from(body));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::BAD_GATEWAY);
    if let Ok(kind) = HeaderValue::from_str(kind) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    if let Some(wait) = retry_after {
        let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1);
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

impl Serve for Served {
    fn serve(
        &self,
        request: http::Request<Body>,
        context: Context,
    ) -> BoxFuture<'static, http::Response<Body>> {
        let until = context.deadline.map(Instant::from);
        Box::pin(self.clone().answer(request, until))
    }
}
