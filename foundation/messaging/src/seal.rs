//! Payloads at rest that only those with the key can read.

use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use dozen_core::{Attribute, Message};

/// The attribute that names the key of a sealed payload.
const SEALED: &str = "dozensealed";
/// The attribute that keeps its media type.
const SEALED_TYPE: &str = "dozensealedtype";
/// The media type of a sealed payload.
const MEDIA_TYPE: &str = "application/vnd.dozen.sealed";

const NONCE: usize = 24;

/// Keys for payloads: the first seals, all of them open. A new key is put in front and the old one stays for as long as
/// there are messages that it sealed.
///
/// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) with a random nonce for each message. The message's id and source are
/// authenticated with the payload, so that a sealed payload cannot be moved to another message. Attributes, key and type
/// among them, stay readable: filters and order need them.
#[derive(Clone)]
pub struct Keyring {
    keys: Arc<[(String, XChaCha20Poly1305)]>,
}

impl std::fmt::Debug for Keyring {
    /// The names of the keys, never the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(name, _)| name)).finish()
    }
}

/// Why a payload could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// There is no key at all.
    #[error("a keyring needs a key")]
    NoKey,
    /// A key is not usable.
    #[error(
        "key `{name}` is no key: it must be 32 bytes in base64, as `openssl rand -base64 32` prints them"
    )]
    Key {
        /// Its name.
        name: String,
    },
    /// The message was sealed with a key that is not here.
    #[error("it is sealed with key `{name}`, which this program does not have; it has {known}")]
    UnknownKey {
        /// The key's name.
        name: String,
        /// The names of those that it has.
        known: String,
    },
    /// The payload is not what was sealed.
    #[error(
        "its payload is not what was sealed with key `{name}`: it was changed, or the key is another one"
    )]
    Broken {
        /// The key's name.
        name: String,
    },
    /// The operating system gave no random bytes.
    #[error("there is no randomness to seal with: {0}")]
    NoRandomness(String),
}

impl Keyring {
    /// Keys by name, each 32 bytes in base64; the first seals.
    pub fn new<'a>(keys: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, SealError> {
        use base64::Engine as _;
        let read = |(name, text): (&'a str, &'a str)| {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok();
            let cipher = bytes.and_then(|bytes| XChaCha20Poly1305::new_from_slice(&bytes).ok());
            cipher.map(|cipher| (name.to_owned(), cipher)).ok_or(SealError::Key { name: name.to_owned() })
        };
        let keys: Arc<[_]> = keys.into_iter().map(read).collect::<Result<Vec<_>, _>>()?.into();
        if keys.is_empty() { Err(SealError::NoKey) } else { Ok(Self { keys }) }
    }

    /// Whether a message's payload is sealed.
    pub fn is_sealed(message: &Message) -> bool {
        message.extensions.contains_key(SEALED)
    }

    /// Seals a message's payload with the first key. One that is sealed stays as it is.
    pub fn seal(&self, message: &mut Message) -> Result<(), SealError> {
        let Some((name, cipher)) = self.keys.first() else { return Err(SealError::NoKey) };
        if Self::is_sealed(message) {
            return Ok(());
        }
        let mut nonce = [0u8; NONCE];
        getrandom::fill(&mut nonce).map_err(|error| SealError::NoRandomness(error.to_string()))?;
        let bound = bound_to(message);
        let payload = Payload { msg: &message.data, aad: &bound };
        let sealed = cipher.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| SealError::Broken { name: name.clone() })?;
        message.data = [nonce.as_slice(), &sealed].concat().into();
        message.extensions.insert(SEALED.into(), Attribute::Text(name.clone()));
        if let Some(media_type) = message.content_type.replace(MEDIA_TYPE.into()) {
            message.extensions.insert(SEALED_TYPE.into(), Attribute::Text(media_type));
        }
        Ok(())
    }

    /// Opens a sealed payload. One that is not sealed stays as it is.
    pub fn unseal(&self, message: &mut Message) -> Result<(), SealError> {
        let Some(name) = message.extension(SEALED).map(str::to_owned) else { return Ok(()) };
        let Some((_, cipher)) = self.keys.iter().find(|(known, _)| *known == name) else {
            let known: Vec<String> = self.keys.iter().map(|(name, _)| format!("`{name}`")).collect();
            return Err(SealError::UnknownKey { name, known: known.join(", ") });
        };
        let broken = || SealError::Broken { name: name.clone() };
        let (nonce, sealed) = message.data.split_at_checked(NONCE).ok_or_else(broken)?;
        let bound = bound_to(message);
        let payload = Payload { msg: sealed, aad: &bound };
        let data = cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| broken())?;
        message.data = data.into();
        message.extensions.remove(SEALED);
        message.content_type = match message.extensions.remove(SEALED_TYPE) {
            Some(Attribute::Text(media_type)) => Some(media_type),
            _ => None,
        };
        Ok(())
    }
}

/// What a sealed payload belongs to.
fn bound_to(message: &Message) -> Vec<u8> {
    [message.source.as_bytes(), b"\n", message.id.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: (&str, &str) = ("2025", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    const NEW: (&str, &str) = ("2026", "HxwdHh8AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRo=");

    fn message() -> Message {
        Message::new("1", "/t", "secret").with_data(Some("application/json"), r#"{"card":"4711"}"#)
    }

    #[test]
    fn a_sealed_payload_is_opened_by_any_key_of_the_ring_and_by_no_other() {
        let mut sealed = message();
        Keyring::new([OLD]).unwrap().seal(&mut sealed).unwrap();
        assert!(!sealed.data.windows(4).any(|window| window == b"4711"));
        assert!(!sealed.is_json());
        let mut opened = sealed.clone();
        Keyring::new([NEW, OLD]).unwrap().unseal(&mut opened).unwrap();
        assert_eq!(opened, message());
        let refused = Keyring::new([NEW]).unwrap().unseal(&mut sealed.clone()).unwrap_err().to_string();
        assert!(refused.contains("`2025`") && refused.contains("`2026`"), "{refused}");
    }

    #[test]
    fn a_payload_that_was_changed_or_moved_is_not_opened() {
        let keys = Keyring::new([NEW]).unwrap();
        let mut sealed = message();
        keys.seal(&mut sealed).unwrap();
        let mut moved = sealed.clone();
        moved.id = "2".into();
        assert!(matches!(keys.unseal(&mut moved), Err(SealError::Broken { .. })));
        let mut cut = sealed.clone();
        cut.data = cut.data.slice(..10);
        assert!(matches!(keys.unseal(&mut cut), Err(SealError::Broken { .. })));
    }

    #[test]
    fn a_key_that_is_none_is_named_and_not_shown() {
        let error = Keyring::new([("k", "c2hvcnQ=")]).unwrap_err().to_string();
        assert!(error.contains("`k`") && !error.contains("c2hvcnQ"), "{error}");
        assert_eq!(format!("{:?}", Keyring::new([NEW, OLD]).unwrap()), r#"["2026", "2025"]"#);
    }
}
