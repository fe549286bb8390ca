//! Shaping: what a route does with the bodies that pass it.
//!
//! ```text
//! client ─► open ─► validate ─► translate ─► in the cache? ─► service
//!            │         │            │             │ yes          │
//! client ◄───┴─────────┴────────────┴─ compress ◄─┴─ keep ◄─ translate
//! ```
//!
//! A route that asks for none of this has no [`Shaping`], and its bytes go from socket to socket as if this module were
//! not there. One that asks for any of it has its exchanges as values, with the engine's [`Around`] around them; there is
//! one such place, for services and for compositions alike.
//!
//! *Open.* A body is gathered and decompressed only where something has to look into it, within the bound of the route,
//! and what comes out is bounded as what came in is. *Validate* before anything is asked, by JSON Schemas or by an OpenAPI
//! document; what is wrong is told with JSON pointers and never with values. *Translate* by `dozen-mapping`, which cannot
//! fail silently: a client's body that does not fit is a 400 or 422, a service's a 502. What is kept in the [cache](crate::cache)
//! is what clients would get before it is compressed, so one copy serves all of them; it is known by what the service is
//! asked for, which a translation may make of any part of the request.
//!
//! *No connection waits for another's document*: one that is not small is read, held against its schema and mapped beside the
//! connections ([`aside`]), and what is compressed is so a slice at a time, between which others have their turn.

mod accept;
mod admit;
mod aside;
mod compress;
mod document;
mod encode;
mod openapi;
mod problem;
mod run;
mod schemas;
mod stopped;
mod through;
mod translate;

use std::sync::Arc;

use dozen_dataplane::Around;

use crate::RouteOptions;
use crate::cache::{Cache, Policy};
use crate::text::Facts;
use compress::Compress;
use openapi::Api;
use run::{Run, Shaped};
use schemas::Schemas;
use translate::{OfRequest, OfResponse};

pub(crate) use problem::problem;
pub(crate) use run::Origin;

/// What is wrong with what is written: where, and what.
type Wrong = (String, String);

/// What a route does with bodies, compiled.
#[derive(Debug)]
pub(crate) struct Shaping {
    schemas: Option<Schemas>,
    api: Option<Api>,
    request: Option<OfRequest>,
    response: Option<OfResponse>,
    compress: Option<Compress>,
    pub(crate) policy: Option<Policy>,
    /// Names of the route's match.
    names: Box<[Box<str>]>,
    services: usize,
    body_max: usize,
}

/// What is known of one request besides itself, which is already as it will be sent on.
#[derive(Debug)]
pub(crate) struct Given {
    /// As the client asked for them.
    method: String,
    pub(crate) scheme: &'static str,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    captures: Box<[Box<str>]>,
    /// Which of the route's services is asked, and how many it has.
    pub(crate) at: usize,
    pub(crate) services: usize,
    /// Whether somebody showed who they are, whatever the service sees of it.
    pub(crate) is_personal: bool,
}

impl Shaping {
    /// None where the route asks for nothing of this.
    pub(crate) fn compile(options: &RouteOptions, names: &[&str]) -> Result<Option<Arc<Self>>, Wrong> {
        let RouteOptions { request, response, validate, openapi, compress, cache, .. } = options;
        let asked = [
            ("request", request.is_some()),
            ("response", response.is_some()),
            ("validate", validate.is_some()),
            ("openapi", openapi.is_some()),
            ("compress", compress.is_some()),
            ("cache", cache.is_some()),
        ];
        let Some((first, _)) = asked.iter().find(|(_, asked)| *asked) else { return Ok(None) };
        if options.to.is_empty() && options.compose.is_none() {
            return Err((
                options.name(),
                format!("has `{first}`, which means nothing without `to` or `compose`"),
            ));
        }
        if options.websocket.is_some() {
            let problem = format!("has `{first}` and `websocket`; a WebSocket has no bodies to look into");
            return Err((options.name(), problem));
        }
        Ok(Some(Arc::new(Self {
            schemas: validate.as_ref().map(Schemas::compile).transpose()?,
            api: openapi.as_ref().map(Api::compile).transpose()?,
            request: request.as_ref().map(OfRequest::compile).transpose()?,
            response: response.as_ref().map(OfResponse::compile).transpose()?,
            compress: compress.as_ref().map(Compress::compile).transpose()?,
            policy: cache.as_ref().map(Policy::compile).transpose()?,
            names: names.iter().map(|name| Box::from(*name)).collect(),
            services: options.to.len(),
            body_max: usize::try_from(options.body_max).unwrap_or(usize::MAX),
        })))
    }

    /// What stands around one exchange with the route's service of number `at`, by somebody who is known or not.
    pub(crate) fn around(
        self: &Arc<Self>,
        facts: &Facts<'_>,
        is_known: bool,
        at: usize,
        cache: Option<&Arc<Cache>>,
    ) -> Arc<dyn Around> {
        let asked = facts.asked;
        let captures = (0..self.names.len())
            .map(|at| facts.captured.get(facts.captures.range(at)).unwrap_or_default().into());
        let given = Given {
            method: asked.method.to_owned(),
            scheme: asked.scheme,
            host: asked.host.to_ascii_lowercase(),
            path: asked.path.to_owned(),
            query: asked.query.map(str::to_owned),
            captures: captures.collect(),
            at,
            services: self.services,
            is_personal: is_known || asked.is_personal(),
        };
        Arc::new(Shaped(Arc::new(Run::new(self.clone(), given, cache.cloned()))))
    }

    /// What it does, in a word each, for an explanation.
    pub(crate) fn explain(&self) -> Vec<&'static str> {
        let all = [
            ("validate", self.schemas.is_some()),
            ("openapi", self.api.is_some()),
            ("request", self.request.is_some()),
            ("response", self.response.is_some()),
            ("cache", self.policy.is_some()),
            ("compress", self.compress.is_some()),
        ];
        all.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect()
    }
}

#[cfg(test)]
mod tests;
