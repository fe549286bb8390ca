//! Messages as types: a stable name and a version instead of a Rust path.

use dozen_core::{Attribute, Diagnose, Ids, Message, Retry};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The extension attribute that carries a payload's version. A message without one is of version 1.
const VERSION: &str = "dozenversion";

/// A payload with a name that outlives refactorings, and a version that outlives deployments.
///
/// Derived: `#[derive(Message)] #[message(name = "stock.reserve", version = 2, from = ReserveV1)]`. The name becomes the
/// CloudEvent's `type`. A queue may hold several versions of one name at a time, for as long as a deployment takes:
/// an older one is read as the type that `from` names, and converted.
pub trait Typed: Serialize + DeserializeOwned + Send + 'static {
    /// What it is, for every program and for ever.
    const NAME: &'static str;
    /// Which version of it this type is; at least 1.
    const VERSION: u32;

    /// What orders it.
    fn key(&self) -> Option<String> {
        None
    }

    /// Reads a payload of `version`.
    fn decode_version(version: u32, data: &[u8]) -> Result<Self, DecodeError>;
}

/// Why a message is not of the type that was expected.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It has another name.
    #[error("it is a `{found}`, and `{expected}` was expected")]
    Name {
        /// The name that was expected.
        expected: &'static str,
        /// The name that it has.
        found: String,
    },
    /// Nobody here reads this version.
    #[error("it is version {found} of `{name}`, and this program reads {}", known_versions(*found, *known))]
    Version {
        /// Its name.
        name: &'static str,
        /// The version that it has.
        found: u32,
        /// The latest version that is known.
        known: u32,
    },
    /// The payload does not fit.
    #[error("its payload is no `{name}` of version {version}")]
    Payload {
        /// Its name.
        name: &'static str,
        /// Its version.
        version: u32,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
}

impl Diagnose for DecodeError {
    fn fault(&self) -> dozen_core::Fault {
        dozen_core::Fault::Caller
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }

    fn page(&self) -> &'static str {
        "invalid-message"
    }
}

fn known_versions(found: u32, known: u32) -> String {
    if found > known {
        format!("up to version {known}; deploy the newer program")
    } else {
        format!("version {known} only; let its type name the older one with `from`")
    }
}

/// Reads a payload of `T`'s own version: what a derived [`Typed::decode_version`] does.
pub fn read<T: Typed>(data: &[u8]) -> Result<T, DecodeError> {
    let (name, version) = (T::NAME, T::VERSION);
    serde_json::from_slice(data).map_err(|source| DecodeError::Payload { name, version, source })
}

/// A message that carries `value`, from `source`.
pub fn encode<T: Typed>(ids: &Ids, source: &str, value: &T) -> Result<Message, serde_json::Error> {
    let data = serde_json::to_vec(value)?;
    let mut message = Message::new(ids.next().to_string(), source, T::NAME);
    message.time = Some(ids.clock().now());
    if T::VERSION != 1 {
        message.extensions.insert(VERSION.into(), Attribute::Integer(T::VERSION.into()));
    }
    let message = message.with_data(Some("application/json"), data);
    Ok(match value.key() {
        Some(key) => message.with_key(key),
        None => message,
    })
}

/// The value that `message` carries, of whichever version that `T` can read.
pub fn decode<T: Typed>(message: &Message) -> Result<T, DecodeError> {
    if message.kind != T::NAME {
        return Err(DecodeError::Name { expected: T::NAME, found: message.kind.clone() });
    }
    T::decode_version(version(message), &message.data)
}

/// The version of a message's payload.
pub fn version(message: &Message) -> u32 {
    match message.extensions.get(VERSION) {
        Some(Attribute::Integer(number)) => u32::try_from(*number).unwrap_or(u32::MAX),
        Some(other) => other.text().parse().unwrap_or(u32::MAX),
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dozen_core::{ManualClock, Timestamp};
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Old {
        order: u32,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct New {
        order: String,
    }

    impl Typed for Old {
        const NAME: &'static str = "order";
        const VERSION: u32 = 1;

        fn decode_version(version: u32, data: &[u8]) -> Result<Self, DecodeError> {
            match version {
                1 => read(data),
                found => Err(DecodeError::Version { name: Self::NAME, found, known: Self::VERSION }),
            }
        }
    }

    impl Typed for New {
        const NAME: &'static str = "order";
        const VERSION: u32 = 2;

        fn decode_version(version: u32, data: &[u8]) -> Result<Self, DecodeError> {
            match version {
                2 => read(data),
                found if found > Self::VERSION => {
                    Err(DecodeError::Version { name: Self::NAME, found, known: Self::VERSION })
                }
                _ => Old::decode_version(version, data).map(|old| Self { order: old.order.to_string() }),
            }
        }

        fn key(&self) -> Option<String> {
            Some(self.order.clone())
        }
    }

    #[test]
    fn an_old_version_is_read_as_the_new_one_and_a_newer_one_is_named() {
        let ids = Ids::new(Arc::new(ManualClock::new(Timestamp(0))), 1);
        let old = encode(&ids, "/t", &Old { order: 7 }).unwrap();
        assert_eq!(decode::<New>(&old).unwrap(), New { order: "7".into() });
        let new = encode(&ids, "/t", &New { order: "8".into() }).unwrap();
        assert_eq!((version(&new), new.key()), (2, Some("8")));
        let refused = decode::<Old>(&new).unwrap_err().to_string();
        assert!(refused.contains("version 2") && refused.contains("up to version 1"), "{refused}");
        let other = Message::new("1", "/t", "invoice");
        assert!(decode::<New>(&other).unwrap_err().to_string().contains("`order` was expected"));
    }
}
