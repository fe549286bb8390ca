//! Signatures of pushed messages, as Standard Webhooks lays them out.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// What a secret begins with when it is written down.
const PREFIX: &str = "whsec_";
/// The shortest and the longest key, in bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The secrets that sign a subscription's deliveries. While a secret is being replaced there are two, and each delivery has
/// a signature of both; the receiver takes whichever it knows.
///
/// A signature is the HMAC-SHA256 of `id.timestamp.body` (Standard Webhooks 1.0), so a receiver that checks the timestamp
/// as well cannot be sent an old delivery again.
#[derive(Clone)]
pub struct Secrets(Arc<[Vec<u8>]>);

impl fmt::Debug for Secrets {
    /// How many there are, never what they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// Why a secret cannot be used. Never holds the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is none.
    #[error("a signature needs a secret")]
    None,
    /// One is not written as a secret is.
    #[error(
        "secret number {number} must be 24 to 64 bytes in base64, with or without `whsec_` in front; `openssl rand -base64 32` prints one"
    )]
    Unusable {
        /// Which one, from 1.
        number: usize,
    },
}

impl Secrets {
    /// Secrets in base64, with or without `whsec_` in front.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, SecretError> {
        let read = |(at, text): (usize, &str)| {
            let text = text.trim();
            let bytes = BASE64.decode(text.strip_prefix(PREFIX).unwrap_or(text)).ok();
            let fits = bytes.filter(|bytes| KEY_BYTES.contains(&bytes.len()));
            fits.ok_or(SecretError::Unusable { number: at + 1 })
        };
        let secrets: Arc<[_]> =
            secrets.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?.into();
        if secrets.is_empty() { Err(SecretError::None) } else { Ok(Self(secrets)) }
    }

    /// The value of `webhook-signature`: a signature of each secret, with a space in between.
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let sign = |secret: &Vec<u8>| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("an HMAC takes a key of any length");
            mac.update(format!("{id}.{seconds}.").as_bytes());
            mac.update(body);
            format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
        };
        self.0.iter().map(sign).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secrets = Secrets::new(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).unwrap();
        let signature =
            secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn while_a_secret_is_replaced_there_is_a_signature_of_both() {
        let (old, new) = ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        let both = Secrets::new([new, old]).unwrap().sign("1", 2, b"3");
        let each = [new, old].map(|secret| Secrets::new([secret]).unwrap().sign("1", 2, b"3"));
        assert_eq!(both, each.join(" "));
    }

    #[test]
    fn a_secret_that_is_none_is_counted_and_not_shown() {
        let error = Secrets::new(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "c2hvcnQ="]).unwrap_err();
        assert_eq!(error, SecretError::Unusable { number: 2 });
        assert!(!error.to_string().contains("c2hvcnQ"));
        assert_eq!(Secrets::new([]).unwrap_err(), SecretError::None);
        let secrets = Secrets::new(["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).unwrap();
        assert_eq!(format!("{secrets:?}"), "Secrets(1)");
    }
}
