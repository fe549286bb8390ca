//! Whether a request is what its route takes, before anybody is asked.

use dozen_dataplane::Body;
use http::Request;

use super::compress::media_type;
use super::document::{decoded, gather};
use super::problem::{Part, Refused};
use super::schemas::hold;
use super::stopped::{Stopped, no_json};
use super::{Given, Shaping};

impl Shaping {
    /// The request, if it is what the route takes.
    pub(super) async fn admit(
        &self,
        given: &Given,
        request: Request<Body>,
    ) -> Result<Request<Body>, Stopped> {
        let Self { schemas, api, .. } = self;
        if schemas.is_none() && api.is_none() {
            return Ok(request);
        }
        let Given { method, path, query, .. } = given;
        let (mut parts, body) = request.into_parts();
        let mut flaws = Vec::new();
        let operation = match api {
            Some(api) => {
                let found = api.find(method, path)?;
                found.head(query.as_deref(), &parts.headers, &mut flaws);
                Some(found)
            }
            None => None,
        };
        if let Some(schemas) = schemas {
            flaws.extend(schemas.head(query.as_deref(), &parts.headers));
        }
        if !flaws.is_empty() {
            return Err(Refused::flawed(flaws).into());
        }
        let schema = schemas.as_ref().and_then(|schemas| schemas.body.as_ref());
        let is_looked_into =
            schema.is_some() || operation.as_ref().is_some_and(|found| found.looks_into_body());
        if !is_looked_into {
            return Ok(Request::from_parts(parts, body));
        }
        let max = self.body_max;
        let bytes = decoded(gather(body, max).await?, &mut parts.headers, max)?;
        let kind = media_type(&parts.headers);
        if let Some(found) = &operation {
            found.body(&bytes, kind.as_deref(), &mut flaws)?;
        }
        if let Some(schema) = schema {
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
