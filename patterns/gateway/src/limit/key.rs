//! What a limit counts by.

use std::borrow::Cow;
use std::net::IpAddr;

use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::Per;
use crate::auth::{Identity, KeyText, View};

/// Bytes of a header or claim that count; the rest would only be hashed.
const VALUE_MAX: usize = 256;

/// The key of one request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum KeyOf<'v> {
    /// All requests together.
    Whole,
    /// A consumer, by name.
    Consumer(&'v str),
    /// Whom a token speaks of, and who vouches for it.
    Subject(&'v str, &'v str),
    /// An address; of version 6 the 64 bits that a network gives to one customer.
    Address(IpAddr),
    /// A header, a claim, or what an expression makes of them.
    Text(Cow<'v, str>),
}

/// How to find it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Keying {
    Whole,
    Consumer,
    Address,
    Claim(String),
    Header(String),
    Cel(KeyText),
}

impl Keying {
    pub(crate) fn compile(per: &Per) -> Result<Self, String> {
        Ok(match per {
            Per::Route => Self::Whole,
            Per::Consumer => Self::Consumer,
            Per::Address => Self::Address,
            Per::Claim(name) => Self::Claim(name.clone()),
            Per::Header(name) => Self::Header(name.clone()),
            Per::Cel(text) => Self::Cel(KeyText::compile(text).map_err(|mistake| mistake.to_string())?),
        })
    }

    /// The key of a request. Who lacks what is counted by is counted by address, so that leaving it out gains nothing.
    pub(crate) fn of<'v>(&self, view: &View<'v>, identity: &'v Identity) -> KeyOf<'v> {
        let found = match self {
            Self::Whole => Some(KeyOf::Whole),
            Self::Address => None,
            Self::Consumer => match (&identity.consumer, &identity.subject) {
                (Some(consumer), _) => Some(KeyOf::Consumer(&consumer.name)),
                (None, Some(subject)) => Some(KeyOf::Subject(&identity.method, subject)),
                (None, None) => None,
            },
            Self::Claim(name) => match identity.claims.get(name) {
                Some(Value::String(text)) => Some(text_key(text.as_str().into())),
                None | Some(Value::Null) => None,
                Some(other) => Some(text_key(other.to_string().into())),
            },
            Self::Header(name) => {
                let value = view.field(name).filter(|value| !value.is_empty());
                value.map(|value| text_key(String::from_utf8_lossy(value)))
            }
            Self::Cel(text) => text.of(view, identity).ok().map(|text| text_key(text.into())),
        };
        found.unwrap_or_else(|| KeyOf::Address(network(view.address)))
    }

    /// Whether it has to be known first who asks.
    pub(crate) fn needs_identity(&self) -> bool {
        *self != Self::Address
    }
}

fn text_key(text: Cow<'_, str>) -> KeyOf<'_> {
    if text.len() <= VALUE_MAX {
        return KeyOf::Text(text);
    }
    // A long one stands for itself through its hash, so that two that begin alike stay two.
    KeyOf::Text(hex(digest(&SHA256, text.as_bytes()).as_ref()).into())
}

/// The part of an address that stands for one customer.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address,
    }
}

impl KeyOf<'_> {
    /// A name for it that is the same on every gateway, and shows nobody's address or name in the store.
    pub(crate) fn stable(&self) -> [u8; 16] {
        let text = match self {
            Self::Whole => "whole".into(),
            Self::Consumer(name) => format!("consumer\0{name}"),
            Self::Subject(method, subject) => format!("subject\0{method}\0{subject}"),
            Self::Address(address) => format!("address\0{address}"),
            Self::Text(text) => format!("text\0{text}"),
        };
        let mut stable = [0; 16];
        stable.copy_from_slice(&digest(&SHA256, text.as_bytes()).as_ref()[..16]);
        stable
    }
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
