//! Tokens that somebody else issued and signed.

use std::sync::Arc;
use std::time::Instant;

use dozen_core::Timestamp;

use super::cache::TokenCache;
use super::claims::Expected;
use super::guard::Check;
use super::jwks::{Current, Keys};
use super::jws;
use super::key::Algorithm;
use super::view::Sole;
use super::{Consumers, Identity, Reason, Refusal, View};

/// The method `jwt`.
pub(crate) struct Jwt {
    pub(crate) name: Arc<str>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) kind: Option<String>,
    pub(crate) expected: Expected,
    /// The claim that names a consumer.
    pub(crate) consumer: Option<String>,
    pub(crate) consumers: Arc<Consumers>,
    pub(crate) verified: TokenCache<Arc<Identity>>,
}

impl Jwt {
    /// Looks for a bearer token, and knows or verifies it.
    pub(crate) fn check(self: &Arc<Self>, view: &View<'_>) -> Check {
        let token = match view.bearer() {
            Sole::None => return Check::refused(Reason::Missing),
            Sole::Several => return Check::refused(Reason::Malformed),
            Sole::One(token) => token,
        };
        let reason = match self.identify(token, view.now, view.started) {
            Ok(identity) => return Check::Now(Ok(identity)),
            Err(reason) => reason,
        };
        let newer_keys_may_help = matches!(reason, Reason::UnknownKey | Reason::KeysAway);
        let fetched = newer_keys_may_help.then(|| self.keys.refetch(view.started)).flatten();
        let Some(fetched) = fetched else { return Check::refused(reason) };
        let (jwt, token, now) = (self.clone(), token.to_owned(), view.now);
        Check::Later(Box::pin(async move {
            fetched.await;
            let started = tokio::time::Instant::now().into_std();
            jwt.identify(&token, now, started).map_err(Refusal::of)
        }))
    }

    fn identify(&self, token: &[u8], now: Timestamp, started: Instant) -> Result<Arc<Identity>, Reason> {
        let Some(current) = self.keys.usable(started) else { return Err(Reason::KeysAway) };
        if let Some(identity) = self.verified.get(token, current.generation, now) {
            return Ok(identity);
        }
        let (identity, until) = self.verify(&current, token, now)?;
        let identity = Arc::new(identity);
        self.verified.put(token, identity.clone(), current.generation, until);
        Ok(identity)
    }

    fn verify(
        &self,
        current: &Current,
        token: &[u8],
        now: Timestamp,
    ) -> Result<(Identity, Timestamp), Reason> {
        let token = jws::parse(token)?;
        if !self.algorithms.contains(&token.algorithm) {
            return Err(Reason::Algorithm);
        }
        if self.kind.is_some() && !is_kind(token.kind.as_deref(), self.kind.as_deref()) {
            return Err(Reason::Malformed);
        }
        let id = token.key_id.as_deref();
        let mut is_known = false;
        for key in current.set.candidates(id, token.algorithm) {
            is_known |= key.is_named(id);
            if let Some(payload) = token.opened_by(key) {
                let (claims, until) = self.expected.check(&payload?, now)?;
                let name = self.consumer.as_ref().and_then(|claim| claims.get(claim)?.as_str());
                let consumer = name.map(|name| self.consumers.named(name));
                return Ok((Identity::of_claims(&self.name, claims, consumer), until));
            }
        }
        Err(if is_known { Reason::Signature } else { Reason::UnknownKey })
    }
}

/// Media types compare without case, and `application/` may be left out (RFC 7515 §4.1.9).
fn is_kind(found: Option<&str>, wanted: Option<&str>) -> bool {
    let short = |kind: &str| {
        let kind = kind.to_ascii_lowercase();
        kind.strip_prefix("application/").map(str::to_owned).unwrap_or(kind)
    };
    found.map(short) == wanted.map(short)
}

impl std::fmt::Debug for Jwt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jwt").field("name", &self.name).finish_non_exhaustive()
    }
}
