//! What is known of somebody who may pass.

use std::sync::Arc;

use dozen_dataplane::Outgoing;
use serde_json::Value;

use super::Consumer;

/// Somebody whose credential holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// The method that vouches for them, by its name in the file. Empty for nobody.
    pub method: Arc<str>,
    /// The consumer that they are, if the file or the token says so.
    pub consumer: Option<Arc<Consumer>>,
    /// Whom the token speaks of (`sub`).
    pub subject: Option<Arc<str>>,
    /// What the token says: an object, or null without a token.
    pub claims: Arc<Value>,
    /// Headers for the service that a forward-auth service gave.
    pub fields: Vec<(Arc<str>, String)>,
    /// Cookies for the client that it gave.
    pub cookies: Vec<String>,
}

impl Identity {
    /// Somebody without a name, whom a method lets pass.
    pub(crate) fn by(method: &Arc<str>) -> Self {
        Self { method: method.clone(), ..Self::default() }
    }

    /// What a token's claims say.
    pub(crate) fn of_claims(method: &Arc<str>, claims: Value, consumer: Option<Arc<Consumer>>) -> Self {
        let subject = claims.get("sub").and_then(Value::as_str).map(Arc::from);
        Self { consumer, subject, claims: Arc::new(claims), ..Self::by(method) }
    }

    /// Both together, where several methods are asked for: what this one does not say, the other does.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.consumer = both.consumer.or_else(|| other.consumer.clone());
        both.subject = both.subject.or_else(|| other.subject.clone());
        if both.claims.is_null() {
            both.claims = other.claims.clone();
        }
        both.fields.extend(other.fields.iter().cloned());
        both.cookies.extend(other.cookies.iter().cloned());
        both
    }

    /// Tells the service who asks. These headers are the gateway's own: see [`Identity::owns`].
    pub fn add_to(&self, outgoing: &mut Outgoing<'_>) {
        if let Some(consumer) = &self.consumer {
            outgoing.add("dozen-consumer", consumer.name.as_bytes());
            if let Some(plan) = &consumer.plan {
                outgoing.add("dozen-plan", plan.as_bytes());
            }
        }
        if let Some(subject) = &self.subject {
            outgoing.add("dozen-subject", subject.as_bytes());
        }
        for (name, value) in &self.fields {
            outgoing.add(name, value.as_bytes());
        }
    }

    /// Whether a header says who asks. Nobody is believed who sends one, not even a trusted proxy.
    pub(crate) fn writes(name: &str) -> bool {
        let ours = ["dozen-consumer", "dozen-plan", "dozen-subject"];
        ours.iter().any(|known| dozen_dataplane::framing::names_equal(name, known))
    }

    /// Whether a header is one that only the gateway writes: every name that begins with `dozen-`. A client's own is
    /// kept from the service, spelt with underscores too. Of a trusted proxy's, only
    /// those are that say who asks.
    pub fn owns(name: &str) -> bool {
        let prefix = b"dozen-";
        let start = name.as_bytes().get(..prefix.len());
        start.is_some_and(|start| {
            start.iter().zip(prefix).all(|(one, other)| {
                let one = if *one == b'_' { b'-' } else { one.to_ascii_lowercase() };
                one == *other
            })
        })
    }
}
