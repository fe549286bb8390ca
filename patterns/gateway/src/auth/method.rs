//! The ways to show who one is.

use std::sync::Arc;

use super::certificate::Certificate;
use super::forward::Forward;
use super::guard::Check;
use super::view::Sole;
use super::{Consumers, Identity, Introspect, Jwt, Reason, View};

/// One of them.
#[derive(Clone, Debug)]
pub(crate) enum Method {
    Jwt(Arc<Jwt>),
    Key(Arc<Key>),
    Introspect(Arc<Introspect>),
    Forward(Arc<Forward>),
    Certificate(Arc<Certificate>),
}

impl Method {
    pub(crate) fn check(&self, view: &View<'_>) -> Check {
        match self {
            Self::Jwt(jwt) => jwt.check(view),
            Self::Key(key) => key.check(view),
            Self::Introspect(introspect) => introspect.check(view),
            Self::Forward(forward) => forward.check(view),
            Self::Certificate(certificate) => certificate.check(view),
        }
    }

    /// How a client is asked for it (`WWW-Authenticate`). `reason` is why it did not pass.
    pub(crate) fn challenge(&self, reason: Reason) -> Option<String> {
        match self {
            Self::Jwt(_) | Self::Introspect(_) if reason == Reason::Missing => Some("Bearer".into()),
            Self::Jwt(_) | Self::Introspect(_) => Some("Bearer error=\"invalid_token\"".into()),
            Self::Key(key) => Some(match &key.place {
                KeyPlace::Header(name) => format!("ApiKey header=\"{name}\""),
                KeyPlace::Query(name) => format!("ApiKey query=\"{name}\""),
            }),
            // Its service has challenges of its own; a handshake has none that HTTP could name.
            Self::Forward(_) | Self::Certificate(_) => None,
        }
    }

    /// The client's headers that are kept from the service: a key that is not its business, and names that the
    /// forward-auth service vouches for.
    pub(crate) fn withheld(&self) -> Vec<&str> {
        match self {
            Self::Key(key) => match &key.place {
                KeyPlace::Header(header) => vec![header.as_str()],
                KeyPlace::Query(_) => Vec::new(),
            },
            Self::Forward(forward) => forward.copies.iter().map(|copied| &**copied).collect(),
            Self::Certificate(certificate) => certificate.header.iter().map(|header| &**header).collect(),
            Self::Jwt(_) | Self::Introspect(_) => Vec::new(),
        }
    }

    /// Whether this is one of them.
    pub(crate) fn strips(&self, name: &str) -> bool {
        self.withheld().iter().any(|ours| dozen_dataplane::framing::names_equal(name, ours))
    }
}

/// The method `key`.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) place: KeyPlace,
    consumers: Arc<Consumers>,
    /// An identity for each consumer, made once.
    identities: std::collections::HashMap<Arc<str>, Arc<Identity>>,
}

/// Where a client puts its key.
#[derive(Debug)]
pub(crate) enum KeyPlace {
    Header(String),
    Query(String),
}

impl Key {
    pub(crate) fn new(name: &Arc<str>, place: KeyPlace, consumers: Arc<Consumers>) -> Self {
        let identity = |consumer: &Arc<super::Consumer>| {
            let identity = Identity { consumer: Some(consumer.clone()), ..Identity::by(name) };
            (consumer.name.clone(), Arc::new(identity))
        };
        Self { place, identities: consumers.iter().map(identity).collect(), consumers }
    }

    fn check(&self, view: &View<'_>) -> Check {
        let key = match &self.place {
            KeyPlace::Header(name) => view.sole(name),
            KeyPlace::Query(name) => view.parameter(name),
        };
        match key {
            Sole::None => Check::refused(Reason::Missing),
            Sole::Several => Check::refused(Reason::Malformed),
            Sole::One(key) => {
                let consumer = self.consumers.with_key(key);
                let identity = consumer.and_then(|consumer| self.identities.get(&consumer.name));
                identity.map_or_else(
                    || Check::refused(Reason::ApiKey),
                    |identity| Check::Now(Ok(identity.clone())),
                )
            }
        }
    }
}
