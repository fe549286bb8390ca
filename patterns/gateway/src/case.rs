//! One request, and all that a decision about it depends on.

use std::sync::Arc;
use std::time::Instant;

use dozen_core::{Timestamp, TraceContext};
use dozen_dataplane::TlsSession;

use crate::asked::{Asked, Claims, Headers};
use crate::auth::{Kept, View};

/// A request, and what the gateway adds to it.
#[derive(Clone, Copy)]
pub(crate) struct Case<'c> {
    pub(crate) asked: Asked<'c>,
    /// Which worker asks.
    pub(crate) worker: usize,
    /// The present moment, by the wall clock and by the monotonic one.
    pub(crate) now: Timestamp,
    pub(crate) started: Instant,
    /// Chooses where nothing else does.
    pub(crate) random: u64,
    /// Whether the caller is one of ours.
    pub(crate) is_trusted: bool,
    /// Whether all of it is there.
    pub(crate) is_whole: bool,
    /// What was agreed on with the client, if it speaks TLS.
    pub(crate) tls: Option<&'c Arc<TlsSession>>,
    /// The trace that the request belongs to.
    pub(crate) trace: Option<TraceContext>,
}

impl<'c> Case<'c> {
    /// As those see it who say whether it passes; `route` is the name of the route that takes it.
    pub(crate) fn view<'v>(&self, route: &'v str) -> View<'v>
    where
        'c: 'v,
    {
        let Asked { method, scheme, host, path, query, headers, address, .. } = self.asked;
        let Self { worker, now, started, tls, trace, .. } = *self;
        let fields = headers.wire();
        View { worker, method, scheme, host, path, query, fields, address, tls, trace, route, now, started }
    }

    /// Path and query as the client asked for them, in canonical form.
    pub(crate) fn target(&self) -> String {
        match self.asked.query {
            Some(query) => format!("{}?{query}", self.asked.path),
            None => self.asked.path.to_owned(),
        }
    }

    /// A copy that outlives the request's buffers.
    pub(crate) fn keep(&self) -> KeptCase {
        let Self { random, is_trusted, is_whole, .. } = *self;
        KeptCase { kept: self.view("").keep(), random, is_trusted, is_whole }
    }
}

/// A [`Case`] that owns everything.
pub(crate) struct KeptCase {
    kept: Kept,
    random: u64,
    is_trusted: bool,
    is_whole: bool,
}

impl KeptCase {
    /// Looks at it as at any other. The moment is the one at which the request came.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Case<'_>) -> T) -> T {
        self.kept.look(|view| {
            let View { worker, method, scheme, host, path, query, fields, address, now, started, .. } = *view;
            let asked = Asked {
                method,
                scheme,
                host,
                path,
                query,
                headers: Headers::Wire(fields),
                claims: Claims::NotYet,
                consumer: None,
                address,
            };
            let Self { random, is_trusted, is_whole, .. } = *self;
            let (tls, trace) = (view.tls, view.trace);
            at(&Case { asked, worker, now, started, random, is_trusted, is_whole, tls, trace })
        })
    }
}
