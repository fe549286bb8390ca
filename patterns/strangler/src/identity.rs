//! One login for two systems: the facade knows who somebody is, and tells each side in its own words.
//!
//! ```text
//!   old cookie ─► introspect (the old system says whose it is) ─► subject ─► issue ─► token for the new system
//!   token      ─► introspect (signature, or the issuer)        ─► subject ─► issue ─► cookie for the old system
//! ```
//!
//! Both directions are the same: something that a client shows is asked about once, and what the other side understands is made
//! from the answer. Login can move at any time. Answers are kept for a while, bad ones shorter; those who show the same thing
//! at the same moment cause one question. What is kept is bounded, and the secrets themselves are not: only their digests.
//!
//! A client waits for the answer, so nobody waits for long: a question has a time-out, its failure is an answer for a moment,
//! too, and after a few in a row nobody is asked for a while. Then one question goes ahead and the others wait for what it
//! hears. Meanwhile whoever crosses is nobody on the other side; people who are known stay known.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};

use crate::Side;
pub use crate::cohort::cookie;
use crate::send::Unsent;

/// Knows the two systems' ways to say who somebody is.
#[async_trait]
pub trait Identity: Send + Sync + 'static {
    /// Who shows this `proof` of a side: a session cookie of the old system, a token of the new one. `None` when it is not valid.
    async fn introspect(&self, side: Side, proof: &str) -> Result<Option<Subject>, Unsent>;

    /// What `side` takes as a proof for somebody: a cookie's value or a token.
    async fn issue(&self, side: Side, subject: &Subject) -> Result<String, Unsent>;
}

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The id that both systems know.
    pub id: String,
    /// What else is known: roles, a tenant.
    pub claims: Vec<(String, String)>,
}

/// Somebody, and the proof for the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passport {
    /// Who.
    pub subject: Subject,
    /// The proof that the other side takes.
    pub proof: String,
}

/// How long answers are kept, and how many.
#[derive(Clone, Copy, Debug)]
pub struct BridgeOptions {
    /// How long somebody is known without asking again. This is also how long a logout may go unnoticed.
    pub keep: Duration,
    /// How long a proof that is not valid is known as such.
    pub keep_refused: Duration,
    /// How many are known.
    pub known_max: usize,
    /// How long it may take to find out.
    pub patience: Duration,
    /// How long it is known that it could not be found out, and how long nobody is asked after some failures in a row.
    pub rest: Duration,
    /// How many failures in a row that are.
    pub failures_max: u32,
}

impl Default for BridgeOptions {
    fn default() -> Self {
        Self {
            keep: Duration::from_secs(30),
            keep_refused: Duration::from_secs(2),
            known_max: 10_000,
            patience: Duration::from_secs(1),
            rest: Duration::from_secs(1),
            failures_max: 5,
        }
    }
}

type Found = Result<Option<Arc<Passport>>, Unsent>;
type Cell = Arc<OnceCell<Found>>;

/// How the questions about proofs of one side have gone lately.
#[derive(Default)]
struct Luck {
    failures: u32,
    /// Nobody is asked before.
    rests_until: Option<Instant>,
}

struct Known {
    until: Instant,
    cell: Cell,
}

/// Translates a proof of one side into one of the other.
pub struct Bridge {
    identity: Arc<dyn Identity>,
    options: BridgeOptions,
    known: Mutex<HashMap<[u8; 32], Known>>,
    luck: [Mutex<Luck>; 2],
}

impl Bridge {
    /// A bridge that knows nobody yet.
    pub fn new(identity: Arc<dyn Identity>, options: BridgeOptions) -> Self {
        Self { identity, options, known: Mutex::default(), luck: Default::default() }
    }

    /// Who shows `proof` of side `from`, and what the other side takes for it. `None` when it is not valid.
    pub async fn cross(&self, from: Side, proof: &str) -> Result<Option<Arc<Passport>>, Unsent> {
        let digest = digest(from, proof);
        let cell = self.cell(digest);
        // Whoever waits for another's question has the same patience.
        let asked = timeout(self.options.patience, cell.get_or_init(|| self.ask(from, proof)));
        let found = asked.await.cloned().unwrap_or(Err(Unsent::TimedOut));
        match &found {
            Err(_) => self.keep(&digest, &cell, self.options.rest),
            Ok(None) => self.keep(&digest, &cell, self.options.keep_refused),
            Ok(Some(_)) => {}
        }
        found
    }

    /// Forgets a proof: its owner has logged out.
    pub fn end(&self, from: Side, proof: &str) {
        self.known().remove(&digest(from, proof));
    }

    async fn ask(&self, from: Side, proof: &str) -> Found {
        if !self.may_ask(from) {
            return Err(Unsent::Away("it has not answered lately, and is left alone for a moment".into()));
        }
        let asked = timeout(self.options.patience, async {
            let Some(subject) = self.identity.introspect(from, proof).await? else { return Ok(None) };
            let proof = self.identity.issue(from.other(), &subject).await?;
            Ok(Some(Arc::new(Passport { subject, proof })))
        });
        let found = asked.await.unwrap_or(Err(Unsent::TimedOut));
        self.heard(from, found.is_ok());
        found
    }

    fn may_ask(&self, from: Side) -> bool {
        let (now, mut luck) = (Instant::now(), self.luck(from));
        match luck.rests_until {
            Some(until) if until > now => false,
            // This one goes ahead; the others wait for what it hears.
            Some(_) => {
                luck.rests_until = Some(now + self.options.patience);
                true
            }
            None => true,
        }
    }

    fn heard(&self, from: Side, is_answered: bool) {
        let mut luck = self.luck(from);
        if is_answered {
            *luck = Luck::default();
            return;
        }
        luck.failures = luck.failures.saturating_add(1);
        if luck.failures >= self.options.failures_max {
            luck.rests_until = Some(Instant::now() + self.options.rest);
        }
    }

    fn luck(&self, from: Side) -> std::sync::MutexGuard<'_, Luck> {
        self.luck[usize::from(from == Side::New)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cell(&self, digest: [u8; 32]) -> Cell {
        let (now, mut known) = (Instant::now(), self.known());
        if let Some(found) = known.get(&digest).filter(|found| found.until > now) {
            return found.cell.clone();
        }
        if known.len() >= self.options.known_max.max(1) {
            known.retain(|_, found| found.until > now);
        }
        let cell = Cell::default();
        // Full of people who are all still known: this one is asked about each time, and nobody is thrown out.
        if known.len() < self.options.known_max.max(1) {
            known.insert(digest, Known { until: now + self.options.keep, cell: cell.clone() });
        }
        cell
    }

    fn keep(&self, digest: &[u8; 32], cell: &Cell, keep: Duration) {
        let until = Instant::now() + keep;
        if let Some(found) = self.known().get_mut(digest).filter(|found| Arc::ptr_eq(&found.cell, cell)) {
            found.until = found.until.min(until);
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a proof is known by: nobody who reads this memory can show it.
fn digest(from: Side, proof: &str) -> [u8; 32] {
    Sha256::new().chain_update(from.name()).chain_update([0]).chain_update(proof).finalize().into()
}

/// A `cookie` header with one cookie set, others as they were.
pub fn with_cookie(header: Option<&str>, name: &str, value: &str) -> String {
    let others = header
        .into_iter()
        .flat_map(|header| header.split(';'))
        .map(str::trim)
        .filter(|pair| !pair.is_empty() && pair.split_once('=').is_none_or(|(known, _)| known != name));
    let own = format!("{name}={value}");
    others.chain([own.as_str()]).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
