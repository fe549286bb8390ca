//! One route, as it is written.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Compose;
use crate::access::{ClientsOptions, RouteAccess};
use crate::auth::AuthOptions;
use crate::limit::{InFlightOptions, LimitOptions, Priority};
use crate::one_or_many::one_or_many;

use super::{
    Answer, CacheOptions, CompressOptions, CorsOptions, Deprecated, Destination, HeaderOptions, Match,
    OpenapiOptions, Redirect, Rewrite, Translation, ValidateOptions,
};

/// One route: which requests it takes, and exactly one of `to`, `feature`, `redirect`, `answer` and `compose`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RouteOptions {
    /// What it is called in logs, metrics and explanations; without it, its methods, host, path and conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which requests it takes.
    #[serde(rename = "match")]
    pub matching: Match,
    /// Where it leads: one service, or several with weights.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<Destination>,
    /// The feature that says for each request which service it goes to, in the place of `to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// Whose requests stay with one of several services: `cookie(user)`, `header(x-user)`, `claim(sub)`, `consumer` or
    /// `address`. Without it each request is drawn by lot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<String>,
    /// Routes of one split choose alike for the same key; without it, the route's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// How the request is changed on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// Sends the client elsewhere instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
    /// Answers itself instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Answers from what several services say instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compose: Option<Compose>,
    /// Headers that are changed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub headers: HeaderOptions,
    /// How requests are translated on their way to the service: `body`, `query` and `headers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Translation>,
    /// How answers are translated on their way to the client: `body` and `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Translation>,
    /// What requests have to be, by JSON Schemas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<ValidateOptions>,
    /// What requests have to be, by the description of an API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openapi: Option<OpenapiOptions>,
    /// Which answers are compressed; without it, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compress: Option<CompressOptions>,
    /// Which answers are kept to be used again; without it, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheOptions>,
    /// Which other origins may use it from a browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<CorsOptions>,
    /// That it will go away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Deprecated>,
    /// From where requests may come; without it, from anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<ClientsOptions>,
    /// Who may pass; without it, everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthOptions>,
    /// How often; one limit or several, which all must hold.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub limit: Vec<LimitOptions>,
    /// How much at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<InFlightOptions>,
    /// How much its requests matter when the gateway has too much to do.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: Priority,
    /// How long the service may take from the end of the request to the head of its answer.
    #[serde(default = "timeout", with = "dozen_core::duration")]
    pub timeout: Duration,
    /// How long all of it may take, the bodies included. Without it a stream may go on for ever.
    #[serde(default, with = "dozen_core::duration::optional", skip_serializing_if = "Option::is_none")]
    pub total: Option<Duration>,
    /// Whether a WebSocket may be opened, and for how long it may then be silent.
    #[serde(default, with = "dozen_core::duration::optional", skip_serializing_if = "Option::is_none")]
    pub websocket: Option<Duration>,
    /// Bytes of a request's body.
    #[serde(default = "body_max")]
    pub body_max: u64,
    /// How long requests in flight may go on when the route is changed or removed.
    #[serde(default = "stream_grace", with = "dozen_core::duration")]
    pub stream_grace: Duration,
}

fn timeout() -> Duration {
    Duration::from_secs(30)
}

fn body_max() -> u64 {
    16 * 1024 * 1024
}

fn stream_grace() -> Duration {
    Duration::from_secs(30)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl RouteOptions {
    /// Every method on `path`, to `to`, within the default limits.
    pub fn new(path: impl Into<String>, to: impl Into<String>) -> Self {
        let matching = Match { path: path.into(), ..Match::default() };
        Self { to: vec![Destination { service: to.into(), weight: 1 }], ..Self::matching(matching) }
    }

    /// A route that does nothing yet.
    pub fn matching(matching: Match) -> Self {
        Self {
            name: None,
            matching,
            to: Vec::new(),
            feature: None,
            sticky: None,
            split: None,
            rewrite: None,
            redirect: None,
            answer: None,
            compose: None,
            headers: HeaderOptions::default(),
            request: None,
            response: None,
            validate: None,
            openapi: None,
            compress: None,
            cache: None,
            cors: None,
            deprecated: None,
            clients: None,
            auth: None,
            limit: Vec::new(),
            in_flight: None,
            priority: Priority::default(),
            timeout: timeout(),
            total: None,
            websocket: None,
            body_max: body_max(),
            stream_grace: stream_grace(),
        }
    }

    /// What it says of who may pass, and how often.
    pub fn access(&self) -> RouteAccess {
        RouteAccess {
            clients: self.clients.clone(),
            auth: self.auth.clone(),
            limit: self.limit.clone(),
            in_flight: self.in_flight.clone(),
            priority: self.priority,
        }
    }

    /// The name, or what stands for it: `GET shop.example/orders/{id} x-group=beta`.
    pub fn name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let Match { path, regex, method, host, headers, query, cookie, claim, when } = &self.matching;
        let mut name = method.join(",");
        if !name.is_empty() {
            name.push(' ');
        }
        name.push_str(host.as_deref().unwrap_or(""));
        name.push_str(regex.as_deref().unwrap_or(path));
        for (of, wanted) in [headers, query, cookie, claim].into_iter().flatten() {
            name.push_str(&format!(" {of}={wanted}"));
        }
        if let Some(when) = when {
            name.push_str(&format!(" when {when}"));
        }
        name
    }
}
