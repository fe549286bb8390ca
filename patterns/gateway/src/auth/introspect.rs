//! Tokens that only their issuer understands: it is asked (RFC 7662), and its answer is kept for a short while.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dozen_core::Timestamp;
use dozen_dataplane::{Body, Place};
use http::{Method, StatusCode, header};
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::cache::TokenCache;
use super::call::{Callers, Reach, escaped, exchange};
use super::claims::{Expected, moment};
use super::flight::Flights;
use super::guard::Check;
use super::jws::TOKEN_MAX;
use super::options::OnUnreachable;
use super::view::Sole;
use super::{Consumers, Identity, Reason, Refusal, View};

/// Bytes of an issuer's answer.
const ANSWER_MAX: usize = 64 * 1024;
/// Questions at one time; further ones wait, so that a flood of tokens does not become one at the issuer.
pub(crate) const CALLS_MAX: usize = 128;
/// Questions that wait for their turn; further ones are refused.
pub(crate) const WAITING_MAX: usize = 1024;
/// How long they wait at most, and never longer than an answer may take.
const PATIENCE: Duration = Duration::from_millis(250);

/// What an issuer said, and until when it counts; or why it said nothing that can be used.
type Heard = Result<(Result<Arc<Identity>, Reason>, Timestamp), Silence>;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// There was no turn to ask in time.
    Busy,
    /// It could not be asked.
    Unreachable,
}

/// The method `introspect`.
pub(crate) struct Introspect {
    pub(crate) name: Arc<str>,
    pub(crate) place: Place,
    /// `Basic …`, for the issuer to know who asks.
    pub(crate) credential: Option<String>,
    pub(crate) expected: Expected,
    pub(crate) consumer: Option<String>,
    pub(crate) consumers: Arc<Consumers>,
    pub(crate) timeout: Duration,
    /// The longest that a yes is kept.
    pub(crate) keep: Duration,
    /// How long a no is kept.
    pub(crate) keep_no: Duration,
    pub(crate) on_unreachable: OnUnreachable,
    pub(crate) answers: TokenCache<Result<Arc<Identity>, Reason>>,
    pub(crate) calls: Semaphore,
    pub(crate) waiting: Semaphore,
    /// Questions under way, by the hash of their token.
    pub(crate) flights: Flights<Heard>,
    pub(crate) callers: Arc<Callers>,
    pub(crate) reach: Reach,
}

impl Introspect {
    /// Looks for a bearer token, and asks what it is unless that is known.
    pub(crate) fn check(self: &Arc<Self>, view: &View<'_>) -> Check {
        let token = match view.bearer() {
            Sole::None => return Check::refused(Reason::Missing),
            Sole::One(token) if token.len() <= TOKEN_MAX => token,
            Sole::Several | Sole::One(_) => return Check::refused(Reason::Malformed),
        };
        if let Some(answer) = self.answers.get(token, 0, view.now) {
            return Check::Now(answer.map_err(Refusal::of));
        }
        let (this, token, worker, now) = (self.clone(), token.to_owned(), view.worker, view.now);
        Check::Later(Box::pin(async move {
            // Whoever asks about the same token at the same time hears the same answer.
            let flight = this.flights.board(&token);
            let heard = flight.get(|| this.heard(&token, worker, now)).await;
            match heard {
                Ok((answer, _)) => answer.map_err(Refusal::of),
                Err(Silence::Busy) => Err(Refusal::busy()),
                Err(Silence::Unreachable) => this.on_unreachable.answer(&this.name),
            }
        }))
    }

    /// Waits for a turn, asks, and remembers the answer.
    async fn heard(&self, token: &[u8], worker: usize, now: Timestamp) -> Heard {
        let _turn = self.turn().await.ok_or(Silence::Busy)?;
        match self.ask(token, worker, now).await {
            Ok((answer, until)) => {
                self.reach.answered(&self.name);
                self.answers.put(token, answer.clone(), 0, until);
                Ok((answer, until))
            }
            Err(problem) => {
                self.reach.failed(&self.name, &problem);
                Err(Silence::Unreachable)
            }
        }
    }

    /// A place among those who ask; none when too many wait for one already, or it takes too long.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(turn) = self.calls.try_acquire() {
            return Some(turn);
        }
        let _waiting = self.waiting.try_acquire().ok()?;
        timeout(PATIENCE.min(self.timeout), self.calls.acquire()).await.ok()?.ok()
    }

    async fn ask(
        &self,
        token: &[u8],
        worker: usize,
        now: Timestamp,
    ) -> Result<(Result<Arc<Identity>, Reason>, Timestamp), String> {
        let mut request = self
            .place
            .request(Method::POST)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json");
        if let Some(credential) = &self.credential {
            request = request.header(header::AUTHORIZATION, credential);
        }
        let form = format!("token={}&token_type_hint=access_token", escaped(token));
        let caller = self.callers.of(worker);
        let (head, body) =
            exchange(caller, &self.place, request.body(Body::from(form)), ANSWER_MAX, self.timeout)
                .await
                .map_err(|error| dozen_core::chain(&error))?;
        if head.status != StatusCode::OK {
            return Err(format!("it answered {}", head.status.as_u16()));
        }
        let claims: Value = serde_json::from_slice(&body).map_err(|_| "its answer is no JSON".to_owned())?;
        Ok(self.read(claims, now))
    }

    /// What an answer says, and how long it counts.
    fn read(&self, claims: Value, now: Timestamp) -> (Result<Arc<Identity>, Reason>, Timestamp) {
        let no = |reason| (Err(reason), now.after(self.keep_no));
        if claims.get("active") != Some(&Value::Bool(true)) {
            return no(Reason::Inactive);
        }
        let expires = match claims.get("exp").map(moment) {
            None => Timestamp::NEVER,
            Some(Some(expires)) => expires,
            Some(None) => return no(Reason::Malformed),
        };
        if now >= expires {
            return no(Reason::Expired);
        }
        if let Err(reason) = self.expected.names(&claims) {
            return no(reason);
        }
        let name = self.consumer.as_ref().and_then(|claim| claims.get(claim)?.as_str());
        let consumer = name.map(|name| self.consumers.named(name));
        let identity = Identity::of_claims(&self.name, claims, consumer);
        (Ok(Arc::new(identity)), expires.min(now.after(self.keep)))
    }
}

/// How a client names itself to its issuer: both parts escaped, then as HTTP's basic scheme (RFC 6749 §2.3.1).
pub(crate) fn basic(id: &str, secret: &str) -> String {
    let pair = format!("{}:{}", escaped(id.as_bytes()), escaped(secret.as_bytes()));
    format!("Basic {}", STANDARD.encode(pair))
}

impl std::fmt::Debug for Introspect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Introspect").field("name", &self.name).finish_non_exhaustive()
    }
}
