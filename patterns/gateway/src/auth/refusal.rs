//! What is said to somebody who may not pass, and what is written down of it.
//!
//! The two differ on purpose: a client hears what it can do about it, and no more; the reason is for whoever runs the gateway.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use dozen_dataplane::{Content, Reply};

use super::Consumer;

/// Why somebody does not pass: a closed set of words, for logs and labels. Clients are not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nobody at the client's address may pass.
    Address,
    /// No credential was sent.
    Missing,
    /// It was sent twice, or is not what it should be.
    Malformed,
    /// A token's algorithm is not one that the method takes.
    Algorithm,
    /// No key is known by the name that the token says.
    UnknownKey,
    /// The signature is not that of any key.
    Signature,
    /// The token is no longer valid.
    Expired,
    /// The token is not valid yet.
    NotYet,
    /// Somebody else issued the token.
    Issuer,
    /// The token is for somebody else.
    Audience,
    /// The token lacks a claim that is required.
    Claim,
    /// Nobody has this API key.
    ApiKey,
    /// The client's certificate is no consumer's.
    Certificate,
    /// The one who issued the token says that it is not in force.
    Inactive,
    /// The service that was asked says no.
    Forbidden,
    /// The policy says no.
    Policy,
    /// The policy has no answer for this request.
    PolicyUndecided,
    /// The keys are away, or older than they may be.
    KeysAway,
    /// Whoever has to be asked cannot be reached.
    Unreachable,
    /// A limit is reached.
    Limited,
    /// Too much is going on at once.
    Busy,
    /// The store that a limit stands in is away.
    StoreAway,
}

impl Reason {
    /// All of them, in their order.
    pub const ALL: [Self; 22] = [
        Self::Address,
        Self::Missing,
        Self::Malformed,
        Self::Algorithm,
        Self::UnknownKey,
        Self::Signature,
        Self::Expired,
        Self::NotYet,
        Self::Issuer,
        Self::Audience,
        Self::Claim,
        Self::ApiKey,
        Self::Certificate,
        Self::Inactive,
        Self::Forbidden,
        Self::Policy,
        Self::PolicyUndecided,
        Self::KeysAway,
        Self::Unreachable,
        Self::Limited,
        Self::Busy,
        Self::StoreAway,
    ];

    /// The word.
    pub fn label(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Claim => "claim",
            Self::ApiKey => "api_key",
            Self::Certificate => "certificate",
            Self::Inactive => "inactive",
            Self::Forbidden => "forbidden",
            Self::Policy => "policy",
            Self::PolicyUndecided => "policy_undecided",
            Self::KeysAway => "keys_away",
            Self::Unreachable => "unreachable",
            Self::Limited => "limited",
            Self::Busy => "busy",
            Self::StoreAway => "store_away",
        }
    }
}

/// A body that is passed on to the client as somebody else wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its `Content-Type`.
    pub content_type: Option<String>,
    /// Its bytes.
    pub bytes: Bytes,
}

/// The answer to somebody who may not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 401 without a credential that holds, 403 with one that does not suffice, 429 too often, 503 when it cannot be
    /// decided. A forward-auth service may choose another.
    pub status: u16,
    /// One sentence for the client; names nothing internal.
    pub detail: Cow<'static, str>,
    /// Further headers: `www-authenticate`, `retry-after` and their like.
    pub fields: Vec<(&'static str, String)>,
    /// Instead of a problem document, what a forward-auth service said.
    pub body: Option<Passed>,
    /// Why, for logs and metrics.
    pub reason: Reason,
    /// Who it was, if that was known before they were refused.
    pub consumer: Option<Arc<Consumer>>,
}

impl Refusal {
    /// The answer that a reason stands for, before any method adds what it asks for.
    pub(crate) fn of(reason: Reason) -> Self {
        let (status, detail) = match reason {
            Reason::Missing => (401, "this needs a credential"),
            Reason::Expired => (401, "the credential has expired"),
            Reason::NotYet => (401, "the credential is not valid yet"),
            Reason::Address
            | Reason::Policy
            | Reason::PolicyUndecided
            | Reason::Forbidden
            | Reason::Certificate => (403, "this is not allowed"),
            Reason::KeysAway | Reason::Unreachable => {
                (503, "whether this is allowed cannot be decided at the moment")
            }
            Reason::Limited => (429, "too many requests"),
            Reason::Busy => (503, "too much is going on at the moment"),
            Reason::StoreAway => (503, "requests cannot be counted at the moment"),
            _ => (401, "the credential is not accepted"),
        };
        Self { status, detail: detail.into(), fields: Vec::new(), body: None, reason, consumer: None }
    }

    /// Too much is going on; in a moment it may be less.
    pub(crate) fn busy() -> Self {
        Self::of(Reason::Busy).with("retry-after", "1")
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Which of two refusals tells a client more: that it cannot be decided, then what is wrong, then what is missing.
    pub(crate) fn rank(&self) -> u8 {
        match (self.status, self.reason) {
            (503, _) => 3,
            (_, Reason::Missing) => 1,
            _ => 2,
        }
    }

    /// As the proxy answers: a problem document, or what a service said.
    pub fn reply(&self) -> Reply {
        let content = match &self.body {
            Some(Passed { content_type, bytes }) => {
                let kind = content_type.clone().unwrap_or_else(|| "application/octet-stream".to_owned());
                Content::Bytes { kind: kind.into(), bytes: bytes.clone() }
            }
            None => Content::Problem(self.detail.clone()),
        };
        Reply { status: self.status, content, fields: self.fields.clone() }
    }
}
