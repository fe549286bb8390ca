//! Settling: acknowledge, refuse, hold for longer.

use axum::Json;
use axum::response::{IntoResponse, Response};
use dozen_core::Ids;
use dozen_messaging::{JournalSubscriber, Lease, Part, Policy, Settlement, Subscriber as _, Verdict};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::receive::checked_lease;
use crate::{Handle, Problem, Span};

/// Leases in one request.
const LEASES_MAX: usize = 1_000;
/// The longest wait that a receiver may ask for.
const AFTER_MAX: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);

/// A body that acknowledges.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ack {
    lease: Option<String>,
    leases: Option<Vec<String>>,
}

/// A body that refuses.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nack {
    lease: Option<String>,
    leases: Option<Vec<String>>,
    #[serde(default)]
    error: String,
    after: Option<Span>,
    #[serde(default)]
    permanent: bool,
}

/// A body that asks for more time.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extend {
    lease: Option<String>,
    leases: Option<Vec<String>>,
    #[serde(rename = "for")]
    hold: Option<Span>,
}

/// The leases that a request names, in the words of one subscriber.
pub struct Which {
    named: Vec<(String, Handle, Lease)>,
    /// Named by `lease`: losing it is a refusal of the request.
    alone: bool,
}

impl Which {
    /// Reads what stands as `lease`, or as `leases`, for a subscriber over `parts`.
    pub fn read(lease: Option<String>, leases: Option<Vec<String>>, parts: &[Part]) -> Result<Self, Problem> {
        let alone = lease.is_some();
        let (texts, at) = match (lease, leases) {
            (Some(lease), None) => (vec![lease], "lease"),
            (None, Some(leases)) => (leases, "leases"),
            _ => {
                let why = "name either one `lease` or a list of `leases`, as `receive` gave them";
                return Err(Problem::invalid("lease", why));
            }
        };
        if texts.is_empty() || texts.len() > LEASES_MAX {
            let why = format!("there are {} leases; one request takes 1 to {LEASES_MAX}", texts.len());
            return Err(Problem::invalid("leases", why));
        }
        let mut named = Vec::with_capacity(texts.len());
        for text in texts {
            let handle = Handle::parse(&text, at)?;
            let Some(lease) = handle.lease(parts) else {
                return Err(Problem::invalid(at, "this lease was given by another queue or subscription"));
            };
            named.push((text, handle, lease));
        }
        Ok(Self { named, alone })
    }

    /// The one handle, where `lease` named it.
    pub fn alone(&self) -> Option<(&Handle, Lease)> {
        self.named.first().filter(|_| self.alone).map(|(_, handle, lease)| (handle, *lease))
    }

    fn leases(&self) -> Vec<Lease> {
        self.named.iter().map(|(_, _, lease)| *lease).collect()
    }
}

impl Ack {
    /// The leases that it names.
    pub fn which(self, parts: &[Part]) -> Result<Which, Problem> {
        Which::read(self.lease, self.leases, parts)
    }

    /// Acknowledges.
    pub async fn answer(self, subscriber: &JournalSubscriber) -> Result<Response, Problem> {
        let which = self.which(&subscriber.parts())?;
        settle(subscriber, &which, |_| Settlement::Done).await
    }
}

impl Nack {
    /// Refuses: again by `policy`, or when the receiver asks for it; a dead letter when it is permanent, or was the last
    /// attempt.
    pub async fn answer(
        self,
        subscriber: &JournalSubscriber,
        policy: &Policy,
        ids: &Ids,
    ) -> Result<Response, Problem> {
        let which = Which::read(self.lease, self.leases, &subscriber.parts())?;
        let now = ids.clock().now();
        let error = if self.error.is_empty() { "refused without a reason".to_owned() } else { self.error };
        settle(subscriber, &which, |handle| {
            let again = handle.attempts < policy.attempts_max;
            match self.after {
                _ if self.permanent => Settlement::Park { error: error.clone() },
                Some(Span(after)) if again => {
                    Settlement::Retry { at: now.after(after.min(AFTER_MAX)), error: error.clone() }
                }
                _ => {
                    let verdict = Verdict::Failed(error.clone());
                    let decided = policy.decide(verdict, handle.attempts, now, ids.random());
                    decided.unwrap_or(Settlement::Park { error: error.clone() })
                }
            }
        })
        .await
    }
}

impl Extend {
    /// Holds for as long as it asks, or as `subscriber` leases, from now.
    pub async fn answer(self, mut subscriber: JournalSubscriber) -> Result<Response, Problem> {
        if let Some(hold) = self.hold {
            subscriber = subscriber.holding(checked_lease(hold, "for")?);
        }
        let which = Which::read(self.lease, self.leases, &subscriber.parts())?;
        let until = subscriber.store().clock().now().after(subscriber.lease()).to_string();
        let extended = subscriber.extend(&which.leases()).await?;
        answered(&which, &extended, |_| json!({ "until": until }))
    }
}

/// Ends what `which` names as `how` says, and answers for each whether it took effect.
pub async fn settle(
    subscriber: &JournalSubscriber,
    which: &Which,
    how: impl Fn(&Handle) -> Settlement,
) -> Result<Response, Problem> {
    let ends: Vec<(Lease, Settlement)> =
        which.named.iter().map(|(_, handle, lease)| (*lease, how(handle))).collect();
    let settled = subscriber.settle(ends.clone()).await?;
    answered(which, &settled, |at| match ends.get(at) {
        Some((_, Settlement::Park { .. })) => json!({ "dead": true }),
        Some((_, Settlement::Retry { at, .. })) => json!({ "dead": false, "again": at.to_string() }),
        _ => json!({}),
    })
}

/// What became of each: `{"results": [{"lease", "ok", …}]}`. A lease that was named alone and is lost is a conflict.
pub fn answered(which: &Which, ok: &[bool], more: impl Fn(usize) -> Value) -> Result<Response, Problem> {
    if which.alone && ok != [true] {
        return Err(Problem::lost());
    }
    let result = |(at, (text, _, _)): (usize, &(String, Handle, Lease))| {
        let ok = ok.get(at).copied().unwrap_or(false);
        let mut told = json!({ "lease": text, "ok": ok });
        if let (Some(told), Value::Object(more), true) = (told.as_object_mut(), more(at), ok) {
            told.extend(more);
        }
        told
    };
    let results: Vec<Value> = which.named.iter().enumerate().map(result).collect();
    Ok(Json(json!({ "results": results })).into_response())
}
