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

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::Side;
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
}

impl Default for BridgeOptions {
    fn default() -> Self {
        Self { keep: Duration::from_secs(30), keep_refused: Duration::from_secs(2), known_max: 10_000 }
    }
}

type Cell = Arc<OnceCell<Option<Arc<Passport>>>>;

struct Known {
    until: Instant,
    cell: Cell,
}

/// Translates a proof of one side into one of the other.
pub struct Bridge {
    identity: Arc<dyn Identity>,
    options: BridgeOptions,
    known: Mutex<HashMap<[u8; 32], Known>>,
}

impl Bridge {
    /// A bridge that knows nobody yet.
    pub fn new(identity: Arc<dyn Identity>, options: BridgeOptions) -> Self {
        Self { identity, options, known: Mutex::default() }
    }

    /// Who shows `proof` of side `from`, and what the other side takes for it. `None` when it is not valid.
    pub async fn cross(&self, from: Side, proof: &str) -> Result<Option<Arc<Passport>>, Unsent> {
        let digest = digest(from, proof);
        let cell = self.cell(digest);
        let found = cell.get_or_try_init(|| self.ask(from, proof)).await.cloned();
        match &found {
            // An error is nobody's answer: the next one asks again.
            Err(_) => self.forget(&digest, &cell),
            Ok(None) => self.keep(&digest, &cell, self.options.keep_refused),
            Ok(Some(_)) => {}
        }
        found
    }

    /// Forgets a proof: its owner has logged out.
    pub fn end(&self, from: Side, proof: &str) {
        self.known().remove(&digest(from, proof));
    }

    async fn ask(&self, from: Side, proof: &str) -> Result<Option<Arc<Passport>>, Unsent> {
        let Some(subject) = self.identity.introspect(from, proof).await? else { return Ok(None) };
        let proof = self.identity.issue(from.other(), &subject).await?;
        Ok(Some(Arc::new(Passport { subject, proof })))
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

    fn forget(&self, digest: &[u8; 32], cell: &Cell) {
        let mut known = self.known();
        if known.get(digest).is_some_and(|found| Arc::ptr_eq(&found.cell, cell)) {
            known.remove(digest);
        }
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

/// The value of one cookie in a `cookie` header.
pub fn cookie<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    crate::cohort::cookie(header, name)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A login service as both sides have one, in this process: sessions `s-NAME`, tokens `t-NAME`.
    #[derive(Default)]
    struct Logins {
        asked: AtomicU32,
        away: std::sync::atomic::AtomicBool,
    }

    #[async_trait]
    impl Identity for Logins {
        async fn introspect(&self, side: Side, proof: &str) -> Result<Option<Subject>, Unsent> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
            if self.away.load(Ordering::SeqCst) {
                return Err(Unsent::TimedOut);
            }
            let prefix = if side == Side::Old { "s-" } else { "t-" };
            Ok(proof.strip_prefix(prefix).map(|id| Subject { id: id.to_owned(), claims: Vec::new() }))
        }

        async fn issue(&self, side: Side, subject: &Subject) -> Result<String, Unsent> {
            Ok(format!("{}-{}", if side == Side::Old { "s" } else { "t" }, subject.id))
        }
    }

    fn bridge(known_max: usize) -> (Arc<Logins>, Bridge) {
        let logins = Arc::new(Logins::default());
        (logins.clone(), Bridge::new(logins, BridgeOptions { known_max, ..BridgeOptions::default() }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_proof_crosses_in_both_directions_and_is_asked_about_once() {
        let (logins, bridge) = bridge(10);
        let (one, other) = tokio::join!(bridge.cross(Side::Old, "s-ann"), bridge.cross(Side::Old, "s-ann"));
        assert_eq!(one.expect("answers").expect("valid").proof, "t-ann");
        assert_eq!(other.expect("answers").expect("valid").subject.id, "ann");
        assert_eq!(bridge.cross(Side::New, "t-ann").await.expect("answers").expect("valid").proof, "s-ann");
        assert_eq!(logins.asked.load(Ordering::SeqCst), 2, "once a direction");
        bridge.end(Side::Old, "s-ann");
        bridge.cross(Side::Old, "s-ann").await.expect("answers");
        tokio::time::advance(Duration::from_secs(31)).await;
        bridge.cross(Side::Old, "s-ann").await.expect("answers");
        assert_eq!(logins.asked.load(Ordering::SeqCst), 4, "after a logout, and after its time");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_is_known_for_a_moment_and_an_error_not_at_all() {
        let (logins, bridge) = bridge(10);
        assert_eq!(bridge.cross(Side::Old, "t-ann").await, Ok(None), "a token is no cookie");
        assert_eq!(bridge.cross(Side::Old, "t-ann").await, Ok(None));
        assert_eq!(logins.asked.load(Ordering::SeqCst), 1);
        tokio::time::advance(Duration::from_secs(3)).await;
        logins.away.store(true, Ordering::SeqCst);
        assert_eq!(bridge.cross(Side::Old, "t-ann").await, Err(Unsent::TimedOut));
        logins.away.store(false, Ordering::SeqCst);
        assert_eq!(bridge.cross(Side::Old, "t-ann").await, Ok(None));
        assert_eq!(logins.asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn it_knows_a_bounded_number_of_people() {
        let (_, bridge) = bridge(3);
        for at in 0..10 {
            bridge.cross(Side::Old, &format!("s-{at}")).await.expect("answers").expect("valid");
        }
        assert_eq!(bridge.known().len(), 3);
    }

    #[test]
    fn a_cookie_is_set_among_others() {
        assert_eq!(with_cookie(Some("a=1; sid=x; b=2"), "sid", "y"), "a=1; b=2; sid=y");
        assert_eq!(with_cookie(None, "sid", "y"), "sid=y");
        assert_eq!(cookie("a=1; sid=x", "sid"), Some("x"));
    }
}
