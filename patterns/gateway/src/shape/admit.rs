//! Whether a request is what its route takes, before anybody is asked.

use std::sync::Arc;

use bytes::Bytes;
use dozen_dataplane::Body;
use http::Request;
use http::request::Parts;

use super::aside::{aside, weight};
use super::compress::media_type;
use super::document::{decoded, gather};
use super::openapi::Found;
use super::problem::{Part, Refused};
use super::run::Run;
use super::schemas::hold;
use super::stopped::{Stopped, no_json};

impl Run {
    /// The request, if it is what the route takes.
    pub(super) async fn admit(self: &Arc<Self>, request: Request<Body>) -> Result<Request<Body>, Stopped> {
        let schemas = self.shaping.schemas.as_ref();
        if schemas.is_none() && self.shaping.api.is_none() {
            return Ok(request);
        }
        let query = self.given.query.as_deref();
        let (parts, body) = request.into_parts();
        let mut flaws = Vec::new();
        let operation = self.operation()?;
        if let Some(found) = &operation {
            found.head(query, &parts.headers, &mut flaws);
        }
        if let Some(schemas) = schemas {
            flaws.extend(schemas.head(query, &parts.headers));
        }
        if !flaws.is_empty() {
            return Err(Refused::flawed(flaws).into());
        }
        let has_schema = schemas.is_some_and(|schemas| schemas.body.is_some());
        if !has_schema && !operation.is_some_and(|found| found.looks_into_body()) {
            return Ok(Request::from_parts(parts, body));
        }
        let max = self.shaping.body_max;
        let bytes = gather(body, max).await?;
        let (run, weight) = (self.clone(), weight(&parts.headers, bytes.len(), max));
        aside(weight, move || run.held(parts, bytes)).await.map_err(Stopped::Failed)?
    }

    /// What of the document the request asks for, if there is a document.
    fn operation(&self) -> Result<Option<Found<'_>>, Refused> {
        let api = self.shaping.api.as_ref();
        api.map(|api| api.find(&self.given.method, &self.given.path)).transpose()
    }

    /// The request, if its body is what the route takes.
    fn held(&self, mut parts: Parts, bytes: Bytes) -> Result<Request<Body>, Stopped> {
        let mut flaws = Vec::new();
        let bytes = decoded(bytes, &mut parts.headers, self.shaping.body_max)?;
        if let Some(found) = self.operation()? {
            found.body(&bytes, media_type(&parts.headers).as_deref(), &mut flaws)?;
        }
        if let Some(schema) = self.shaping.schemas.as_ref().and_then(|schemas| schemas.body.as_ref()) {
            match serde_json::from_slice(&bytes) {
                Ok(document) => hold(schema, &document, Part::Body, "", &mut flaws),
                Err(error) => return Err(no_json(&error).into()),
            }
        }
        match flaws.is_empty() {
            true => Ok(Request::from_parts(parts, Body::from(bytes))),
            false => Err(Refused::flawed(flaws).into()),
        }
    }
}
