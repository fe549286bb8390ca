//! One route, checked: what it takes, and what it does.

use std::sync::Arc;
use std::time::Duration;

use crate::action::Action;
use crate::condition::Conditions;
use crate::cors::Cors;
use crate::deprecated::Notice;
use crate::headers::Changes;
use crate::host::Host;
use crate::path::PathMatch;
use crate::shape::Shaping;
use crate::{Error, RouteOptions};

/// One route, checked.
#[derive(Debug)]
pub struct Route {
    /// What it is called.
    pub name: Arc<str>,
    /// How long the service may take.
    pub timeout: Duration,
    /// How long all of it may take.
    pub total: Option<Duration>,
    /// For how long a WebSocket may be silent, if one may be opened.
    pub websocket: Option<Duration>,
    /// Bytes of a request's body.
    pub body_max: u64,
    /// How long requests in flight may go on when it changes.
    pub stream_grace: Duration,
    pub(crate) host: Host,
    pub(crate) path: PathMatch,
    pub(crate) methods: Box<[String]>,
    pub(crate) conditions: Conditions,
    pub(crate) action: Action,
    pub(crate) to_service: Changes,
    pub(crate) to_client: Changes,
    /// What is done with bodies; none where they pass as they are.
    pub(crate) shaping: Option<Arc<Shaping>>,
    pub(crate) cors: Option<Cors>,
    pub(crate) notice: Option<Notice>,
}

impl Route {
    pub(crate) fn compile(options: &RouteOptions) -> Result<Self, Error> {
        let name = options.name();
        let wrong = |(text, problem): (String, String)| Error::Text { route: name.clone(), text, problem };
        let matching = &options.matching;
        let path = PathMatch::parse(&matching.path, matching.regex.as_deref()).map_err(wrong)?;
        let is_method = |method: &&String| {
            !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        };
        if let Some(method) = matching.method.iter().find(|method| !is_method(method)) {
            return Err(Error::Method { route: name, method: method.clone() });
        }
        let host = Host::parse(matching.host.as_deref());
        let host = host.ok_or_else(|| Error::Host {
            route: name.clone(),
            host: matching.host.clone().unwrap_or_default(),
        })?;
        let names = path.names();
        let action = Action::compile(&name, options, &path).map_err(wrong)?;
        let to_service = Changes::compile(&options.headers.request, &names).map_err(wrong)?;
        let to_client = Changes::compile(&options.headers.response, &names).map_err(wrong)?;
        let shaping = Shaping::compile(options, &names).map_err(wrong)?;
        Ok(Self {
            timeout: options.timeout,
            total: options.total,
            websocket: options.websocket,
            body_max: options.body_max,
            stream_grace: options.stream_grace,
            host,
            methods: matching.method.clone().into(),
            conditions: Conditions::compile(matching).map_err(wrong)?,
            action,
            to_service,
            to_client,
            shaping,
            cors: options.cors.as_ref().map(Cors::compile).transpose().map_err(wrong)?,
            notice: options.deprecated.as_ref().map(Notice::compile).transpose().map_err(wrong)?,
            path,
            name: name.into(),
        })
    }

    /// `GET` includes `HEAD`.
    pub(crate) fn takes_method(&self, method: &str) -> bool {
        let takes = |wanted: &str| self.methods.iter().any(|one| one == wanted);
        self.methods.is_empty() || takes(method) || (method == "HEAD" && takes("GET"))
    }

    /// The services that it leads to, with their shares.
    pub fn services(&self) -> impl Iterator<Item = (&Arc<str>, u32)> {
        let destinations = self.action.split().map(|split| &*split.destinations).unwrap_or_default();
        destinations.iter().map(|destination| (&destination.service, destination.weight))
    }
}
