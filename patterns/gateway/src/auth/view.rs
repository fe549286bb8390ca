//! What a decision about a request may look at.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use dozen_core::{Timestamp, TraceContext};
use dozen_dataplane::framing::Field;
use dozen_dataplane::{ClientIdentity, TlsSession};

/// A request, the route that takes it, and the moment: everything that a decision here depends on.
#[derive(Clone, Copy, Debug)]
pub struct View<'r> {
    /// Which worker asks.
    pub worker: usize,
    /// The method.
    pub method: &'r str,
    /// `http` or `https`, as the client sees it.
    pub scheme: &'static str,
    /// The host as sent.
    pub host: &'r str,
    /// The canonical path.
    pub path: &'r str,
    /// The canonical query, without the `?`.
    pub query: Option<&'r str>,
    /// The headers.
    pub fields: &'r [Field<'r>],
    /// The client's address: the peer's, or what trusted proxies say.
    pub address: IpAddr,
    /// What was agreed on with the client, if it speaks TLS.
    pub tls: Option<&'r Arc<TlsSession>>,
    /// The trace that the request belongs to.
    pub trace: Option<TraceContext>,
    /// The route's name.
    pub route: &'r str,
    /// The present moment by the wall clock: tokens expire by it.
    pub now: Timestamp,
    /// The present moment by the monotonic clock: limits count by it.
    pub started: Instant,
}

impl<'r> View<'r> {
    /// Who the client is, if it showed a certificate.
    pub fn client(&self) -> Option<&'r ClientIdentity> {
        self.tls.and_then(|session| session.client.as_ref())
    }

    /// The first header called `name`.
    pub fn field(&self, name: &str) -> Option<&'r [u8]> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// The header called `name`, which must be there once: two credentials are none.
    pub(crate) fn sole(&self, name: &str) -> Sole<'r> {
        let mut all = self.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        match (all.next(), all.next()) {
            (None, _) => Sole::None,
            (Some(field), None) => Sole::One(field.value),
            (Some(_), Some(_)) => Sole::Several,
        }
    }

    /// The query parameter called `name`, as it is escaped.
    pub(crate) fn parameter(&self, name: &str) -> Sole<'r> {
        let pairs = self.query.unwrap_or("").split('&').filter_map(|pair| pair.split_once('='));
        let mut all = pairs.filter(|(known, _)| *known == name);
        match (all.next(), all.next()) {
            (None, _) => Sole::None,
            (Some((_, value)), None) => Sole::One(value.as_bytes()),
            (Some(_), Some(_)) => Sole::Several,
        }
    }

    /// The token after `Bearer`.
    pub(crate) fn bearer(&self) -> Sole<'r> {
        match self.sole("authorization") {
            Sole::One(value) => match value.split_at_checked(7) {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => {
                    Sole::One(token.trim_ascii())
                }
                _ => Sole::None,
            },
            other => other,
        }
    }

    /// A copy that outlives the request's buffers.
    pub(crate) fn keep(&self) -> Kept {
        let fields = self.fields.iter().map(|field| (field.name.to_owned(), field.value.to_owned()));
        Kept {
            worker: self.worker,
            method: self.method.to_owned(),
            scheme: self.scheme,
            host: self.host.to_owned(),
            path: self.path.to_owned(),
            query: self.query.map(str::to_owned),
            fields: fields.collect(),
            address: self.address,
            tls: self.tls.cloned(),
            trace: self.trace,
            route: self.route.to_owned(),
            now: self.now,
            started: self.started,
        }
    }
}

/// How often something was given that may be given once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sole<'r> {
    None,
    One(&'r [u8]),
    Several,
}

/// A [`View`] that owns everything, for a decision that takes longer than its request's buffers are lent.
#[derive(Debug)]
pub(crate) struct Kept {
    worker: usize,
    method: String,
    scheme: &'static str,
    host: String,
    path: String,
    query: Option<String>,
    fields: Vec<(String, Vec<u8>)>,
    address: IpAddr,
    tls: Option<Arc<TlsSession>>,
    trace: Option<TraceContext>,
    route: String,
    now: Timestamp,
    started: Instant,
}

impl Kept {
    /// Looks at it as at any other.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&View<'_>) -> T) -> T {
        let fields: Vec<Field<'_>> = self.fields.iter().map(|(name, value)| Field { name, value }).collect();
        at(&View {
            worker: self.worker,
            method: &self.method,
            scheme: self.scheme,
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            fields: &fields,
            address: self.address,
            tls: self.tls.as_ref(),
            trace: self.trace,
            route: &self.route,
            now: self.now,
            started: self.started,
        })
    }
}
