//! How an attempt failed: what a policy lists, and what an attempt reports.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How an attempt failed. Written `connect`, `reset`, `timeout`, or as a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing was looked at: no connection could be opened, or its other end turned the request away.
    Connect,
    /// The connection broke before an answer began.
    Reset,
    /// The answer did not begin in time.
    Timeout,
    /// The answer has this status.
    Status(u16),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Reset => f.write_str("reset"),
            Self::Timeout => f.write_str("timeout"),
            Self::Status(status) => write!(f, "{status}"),
        }
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Status(status) => serializer.serialize_u16(*status),
            named => serializer.collect_str(named),
        }
    }
}

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Causes)
    }
}

struct Causes;

impl de::Visitor<'_> for Causes {
    type Value = Cause;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`connect`, `reset`, `timeout`, or a status from 400 to 599")
    }

    fn visit_u64<E: de::Error>(self, status: u64) -> Result<Cause, E> {
        let known = u16::try_from(status).ok().filter(|status| (400..600).contains(status));
        known.map(Cause::Status).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(status), &self))
    }

    fn visit_i64<E: de::Error>(self, status: i64) -> Result<Cause, E> {
        self.visit_u64(u64::try_from(status).unwrap_or(0))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Cause, E> {
        match name {
            "connect" => Ok(Cause::Connect),
            "reset" => Ok(Cause::Reset),
            "timeout" => Ok(Cause::Timeout),
            _ => match name.parse() {
                Ok(status) => self.visit_u64(status),
                Err(_) => Err(E::invalid_value(de::Unexpected::Str(name), &self)),
            },
        }
    }
}
