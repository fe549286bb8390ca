//! What a decision about a request may look at.

use std::net::IpAddr;
use std::time::Instant;

use dozen_core::Timestamp;
use dozen_dataplane::Incoming;
use dozen_dataplane::framing::Field;

/// A request, the route that takes it, and the moment: everything that a decision here depends on.
#[derive(Clone, Copy, Debug)]
pub struct View<'r> {
    /// Which worker asks.
    pub worker: usize,
    /// The method.
    pub method: &'r str,
    /// The host as sent.
    pub host: &'r str,
    /// The canonical path.
    pub path: &'r str,
    /// The canonical query, without the `?`.
    pub query: Option<&'r str>,
    /// The headers.
    pub fields: &'r [Field<'r>],
    /// The client's address, see [`client_address`].
    pub address: IpAddr,
    /// The route's name.
    pub route: &'r str,
    /// The present moment by the wall clock: tokens expire by it.
    pub now: Timestamp,
    /// The present moment by the monotonic clock: limits count by it.
    pub started: Instant,
}

impl<'r> View<'r> {
    /// A request that has just been read, on the route that takes it.
    pub fn new(request: &Incoming<'r>, route: &'r str, address: IpAddr, now: Timestamp) -> Self {
        Self {
            worker: request.worker,
            method: request.head.method,
            host: request.head.host,
            path: request.path,
            query: request.query,
            fields: request.head.fields,
            address,
            route,
            now,
            started: request.started,
        }
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
            host: self.host.to_owned(),
            path: self.path.to_owned(),
            query: self.query.map(str::to_owned),
            fields: fields.collect(),
            address: self.address,
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
    host: String,
    path: String,
    query: Option<String>,
    fields: Vec<(String, Vec<u8>)>,
    address: IpAddr,
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
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            fields: &fields,
            address: self.address,
            route: &self.route,
            now: self.now,
            started: self.started,
        })
    }
}

/// Whose request it is: the peer's, or, behind proxies that are trusted, the nearest address that is not one of them.
///
/// `forwarded_for` is the value of `X-Forwarded-For`. It is read from its end, because only what trusted proxies wrote
/// can be believed; what cannot be read ends the search at the last address that could.
pub fn client_address(peer: IpAddr, trusted: &[IpAddr], forwarded_for: Option<&[u8]>) -> IpAddr {
    let mut address = peer.to_canonical();
    let said = forwarded_for.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or("");
    for before in said.rsplit(',') {
        if !trusted.contains(&address) {
            break;
        }
        let Ok(before) = before.trim().parse::<IpAddr>() else { break };
        address = before.to_canonical();
    }
    address
}
