//! The seam to those who move a capability from one system to another.
//!
//! ```text
//!  route { feature: checkout } ── course("checkout", request) ──► Way: a service, headers, an escort, a witness
//!                                                              └► an answer, where nobody serves it any more
//!  route { to: legacy }        ── passed(legacy, request) ──►     what no feature takes
//! ```
//!
//! The gateway knows neither stages nor cohorts. It asks for each request of a route with `feature`, without waiting, and
//! does with it what it does with any other: the same limits, the same endpoints, the same line in the log. Who wants to see
//! bodies, or has to ask somebody first, sends an escort along ([`Around`]); all other requests stay bytes from end to end.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::Timestamp;
use dozen_dataplane::{Answered, Around, Changes, Failure, Outcome};

use crate::asked::{Asked, Headers};
use crate::case::Case;

/// Says where requests of features go, as one configuration has it: a request asks the one that it began with.
pub trait Features: Send + Sync + 'static {
    /// What becomes of a request for `feature`; `None` when there is no such feature. Called on the worker's thread: nothing
    /// in it may block.
    fn course(&self, feature: &str, request: &FeatureRequest<'_>) -> Option<Course>;

    /// A request goes to these services by a route that belongs to no feature.
    fn passed(&self, services: &mut dyn Iterator<Item = &str>, request: &FeatureRequest<'_>);
}

/// A request, as far as it matters for where it goes.
#[derive(Clone, Copy, Debug)]
pub struct FeatureRequest<'r> {
    /// The method, in capitals.
    pub method: &'r str,
    /// The canonical path.
    pub path: &'r str,
    /// The canonical query, without the `?`.
    pub query: Option<&'r str>,
    /// Whoever the caller is authenticated as: the subject of the token, or else the consumer.
    pub user: Option<&'r str>,
    /// Whether the caller is a proxy that the file trusts.
    pub is_trusted: bool,
    /// Whether all of it was there with its head: whoever is asked waits for nothing from the client.
    pub is_whole: bool,
    /// Chooses where nothing else does.
    pub random: u64,
    /// When the request came.
    pub now: Timestamp,
    /// The client's address, as text.
    pub address: std::net::IpAddr,
    headers: Headers<'r>,
}

impl<'r> FeatureRequest<'r> {
    pub(crate) fn of(case: &Case<'r>) -> Self {
        let Asked { method, path, query, headers, claims, consumer, address, .. } = case.asked;
        let subject = match claims {
            crate::asked::Claims::Are(claims) => claims.get("sub").and_then(|sub| sub.as_str()),
            _ => None,
        };
        let user = subject.or(consumer);
        let Case { is_trusted, is_whole, random, now, .. } = *case;
        Self { method, path, query, user, is_trusted, is_whole, random, now, address, headers }
    }

    /// The first header of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&'r str> {
        self.headers.named(name).find_map(|value| std::str::from_utf8(value).ok())
    }
}

/// What becomes of a request for a feature.
pub enum Course {
    /// It goes on.
    To(Way),
    /// It is answered with a problem document.
    Answer {
        /// The status.
        status: u16,
        /// What the client is told.
        title: Cow<'static, str>,
    },
}

/// Where a request goes, and with whom.
pub struct Way {
    /// The service.
    pub service: Arc<str>,
    /// Headers that the service sees in the place of the client's of that name.
    pub set: Vec<(Cow<'static, str>, String)>,
    /// Sees the bodies.
    pub escort: Option<Arc<dyn Around>>,
    /// Sees how it ends.
    pub witness: Option<Box<dyn Witness>>,
}

/// Hears what came of a request.
pub trait Witness: Send {
    /// The head of the service's answer is there, with this status.
    fn began(&mut self, status: u16) {
        let _ = status;
    }

    /// The value of an answer's header as the client shall see it, where that is another. Called for each header.
    fn header(&self, name: &str, value: &[u8]) -> Option<String> {
        let _ = (name, value);
        None
    }

    /// It is over.
    fn ended(self: Box<Self>, how: Ended, took: Duration);
}

/// How a request for a feature ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client has the answer, of this status.
    Answered(u16),
    /// The service gave none, or not all of it.
    Failed,
    /// It was cut for a reason that says nothing of the service: the client went away, say.
    Cut,
}

impl Ended {
    pub(crate) fn of(outcome: &Outcome<'_>) -> Self {
        match outcome.failure {
            None => Self::Answered(outcome.status),
            Some(
                Failure::NoEndpoint(_)
                | Failure::Connect
                | Failure::Broken
                | Failure::Refused(_)
                | Failure::TimedOut,
            ) => Self::Failed,
            Some(_) => Self::Cut,
        }
    }
}

/// Tells the witness of an answer's head, and changes it as the witness wants it.
pub(crate) fn answered(witness: &mut dyn Witness, answer: &Answered<'_>, changes: &mut Changes) {
    if answer.failure.is_some() {
        return;
    }
    witness.began(answer.status);
    let witness = &*witness;
    let rewritten = |name: &str| {
        answer.fields().any(|(known, value)| known == name && witness.header(known, value).is_some())
    };
    let mut done: Vec<&str> = Vec::new();
    for (name, _) in answer.fields() {
        if done.iter().any(|known| known.eq_ignore_ascii_case(name)) || !rewritten(name) {
            continue;
        }
        done.push(name);
        // All of one name are written anew, in their order.
        changes.remove(name);
        for (_, value) in answer.fields().filter(|(known, _)| known.eq_ignore_ascii_case(name)) {
            match witness.header(name, value) {
                Some(value) => changes.add(name, value.as_bytes()),
                None => changes.add(name, value),
            }
        }
    }
}
