//! What is seen of every request of a feature, and what its client sees of the system behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dozen_core::Ids;
use dozen_gateway::{Ended, Witness};
use dozen_strangler::rewrite::{Addresses, CookieRules};
use dozen_strangler::{Decision, Feature, RewriteOptions, Side};

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

/// Counts one request.
pub(super) struct Watching {
    pub(super) rewriting: Option<Arc<Rewriting>>,
    pub(super) feature: Arc<Feature>,
    pub(super) decision: Decision,
    pub(super) caller: String,
    pub(super) clock: Ids,
    /// Whether the escort has answered in the place of the service.
    pub(super) answered_here: Arc<AtomicBool>,
}

impl Witness for Watching {
    fn header(&self, name: &str, value: &[u8]) -> Option<String> {
        self.rewriting.as_ref()?.header(name, std::str::from_utf8(value).ok()?)
    }

    fn ended(self: Box<Self>, how: Ended, took: Duration) {
        let (now, caller) = (self.clock.clock().now(), Some(self.caller.as_str()));
        let status = match how {
            Ended::Answered(status) if !self.answered_here.load(Ordering::Relaxed) => Some(status),
            Ended::Failed => None,
            // What is not the service's doing is not held against it.
            Ended::Answered(_) | Ended::Cut => return self.feature.cut(&self.decision, caller, now),
        };
        self.feature.answered(&self.decision, status, took, caller, now);
    }
}
