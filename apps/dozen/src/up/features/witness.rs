//! What is seen of every request of a feature, and what its client sees of the system behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dozen_core::Ids;
use dozen_gateway::{Ended, Witness};
use dozen_strangler::rewrite::{Addresses, CookieRules};
use dozen_strangler::{Call, RewriteOptions, Side};

/// How the answers of one side are rewritten.
pub(super) struct Rewriting {
    pub(super) addresses: Addresses,
    cookies: Option<CookieRules>,
    /// Links in bodies, too.
    pub(super) bodies: bool,
}

impl Rewriting {
    pub(super) fn new(options: &RewriteOptions, side: Side) -> Self {
        let (addresses, cookies) = (options.addresses(side), options.cookies(side));
        let bodies = options.of(side).bodies && !addresses.hosts.is_empty();
        Self { addresses, cookies, bodies }
    }

    fn header(&self, name: &str, value: &str) -> Option<String> {
        let rewritten = match name {
            _ if name.eq_ignore_ascii_case("set-cookie") => self.cookies.as_ref()?.rewrite(value),
            _ if ["location", "content-location"].iter().any(|known| name.eq_ignore_ascii_case(known)) => {
                self.addresses.location(value)
            }
            _ => return None,
        };
        (rewritten != value).then_some(rewritten)
    }
}

/// A request on its way, as its escort and its witness know it.
pub(super) struct Underway {
    call: Mutex<Option<Call>>,
    /// Whether the escort has answered in the place of the service.
    answered_here: AtomicBool,
}

impl Underway {
    pub(super) fn new(call: Call) -> Arc<Self> {
        Arc::new(Self { call: Mutex::new(Some(call)), answered_here: AtomicBool::new(false) })
    }

    /// The service is asked now, and has all of the request: from here on it is the service that is waited for.
    pub(super) fn waits(&self) {
        self.with(Call::waits);
    }

    /// Somebody else than the service answers.
    pub(super) fn answers_here(&self) {
        self.answered_here.store(true, Ordering::Relaxed);
    }

    fn with(&self, say: impl FnOnce(&mut Call)) {
        if let Some(call) = &mut *self.call.lock().unwrap_or_else(PoisonError::into_inner) {
            say(call);
        }
    }

    fn take(&self) -> Option<Call> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Counts one request.
pub(super) struct Watching {
    pub(super) rewriting: Option<Arc<Rewriting>>,
    pub(super) underway: Arc<Underway>,
    pub(super) caller: String,
    pub(super) clock: Ids,
}

impl Witness for Watching {
    fn began(&mut self, status: u16) {
        self.underway.with(|call| call.began(status));
    }

    fn header(&self, name: &str, value: &[u8]) -> Option<String> {
        self.rewriting.as_ref()?.header(name, std::str::from_utf8(value).ok()?)
    }

    fn ended(self: Box<Self>, how: Ended, took: Duration) {
        let Some(call) = self.underway.take() else { return };
        let (now, caller) = (self.clock.clock().now(), Some(self.caller.as_str()));
        let status = match how {
            Ended::Answered(status) if !self.underway.answered_here.load(Ordering::Relaxed) => Some(status),
            Ended::Failed => None,
            // What is not the service's doing is not held against it.
            Ended::Answered(_) | Ended::Cut => return call.cut(caller, now),
        };
        call.ended(status, took, caller, now);
    }
}
