//! Signed tokens in their compact form (RFC 7515), by hand.
//!
//! `BASE64URL(header) . BASE64URL(payload) . BASE64URL(signature)`, and the signature covers the first two as they are
//! written. A token comes from anybody, so everything is bounded and read in one way: no padding, no stray bits, no
//! header twice, no extension that would have to be understood (`crit`), and none of the headers that would let a token
//! bring its own key (`jwk`, `jku`, `x5u`) is looked at. Nothing of the payload is read before the signature holds.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::Reason;
use super::key::{Algorithm, Key};

/// The longest token, in bytes.
pub(crate) const TOKEN_MAX: usize = 8 * 1024;
/// The longest header of one, as it is written.
const HEADER_MAX: usize = 4 * 1024;

/// A token that is well-formed. Nothing in it is true yet.
#[derive(Debug)]
pub(crate) struct Token<'t> {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    pub(crate) kind: Option<String>,
    signed: &'t [u8],
    payload: &'t [u8],
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default)]
    crit: Present,
    #[serde(default)]
    b64: Present,
}

/// Whether a member is there, whatever its value.
#[derive(Default)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

/// Strict base64url.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Reads a token.
pub(crate) fn parse(token: &[u8]) -> Result<Token<'_>, Reason> {
    if token.len() > TOKEN_MAX {
        return Err(Reason::Malformed);
    }
    let dot = |from: usize| {
        token.iter().skip(from).position(|byte| *byte == b'.').map(|at| from + at).ok_or(Reason::Malformed)
    };
    let first = dot(0)?;
    let second = dot(first + 1)?;
    let (header, payload, signature) = (&token[..first], &token[first + 1..second], &token[second + 1..]);
    if header.len() > HEADER_MAX || signature.contains(&b'.') {
        return Err(Reason::Malformed);
    }
    let header = decode(header).ok_or(Reason::Malformed)?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| Reason::Malformed)?;
    if header.crit.0 || header.b64.0 {
        return Err(Reason::Malformed);
    }
    Ok(Token {
        algorithm: Algorithm::named(&header.alg).ok_or(Reason::Algorithm)?,
        key_id: header.kid,
        kind: header.typ,
        signed: &token[..second],
        payload,
        signature: decode(signature).ok_or(Reason::Malformed)?,
    })
}

impl Token<'_> {
    /// The payload, if `key` signed it. A key of another algorithm than the token's never did.
    pub(crate) fn opened_by(&self, key: &Key) -> Option<Result<Vec<u8>, Reason>> {
        let holds = key.algorithm() == self.algorithm && key.verifies(self.signed, &self.signature);
        holds.then(|| decode(self.payload).ok_or(Reason::Malformed))
    }
}
