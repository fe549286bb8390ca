//! Keys that verify, and sets of them (RFC 7517, 8037).

use ring::{hmac, signature};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::jws::decode;

/// Keys in one set.
const KEYS_MAX: usize = 100;
/// Keys that are tried for a token that names none.
const TRIED_MAX: usize = 4;
/// The shortest secret, in bytes: as long as what it makes (RFC 7518 §3.2).
pub(crate) const SECRET_MIN: usize = 32;

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    #[serde(rename = "HS256")]
    Hs256,
    /// RSA with PKCS #1 1.5 padding and SHA-256, 2048 to 8192 bits.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// By its name in a token. `none` is not one.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::Hs256,
            "RS256" => Self::Rs256,
            "ES256" => Self::Es256,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }
}

/// A key. What it is made of says which algorithm it verifies with, and no other can be asked for.
pub(crate) struct Key {
    id: Option<String>,
    material: Material,
}

enum Material {
    Secret(hmac::Key),
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256([u8; 65]),
    Ed25519([u8; 32]),
}

/// Who can read a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Everybody: a secret in it is none, and is ignored.
    Everybody,
    /// Only this program.
    OnlyUs,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

impl Key {
    /// A secret that both sides share.
    pub(crate) fn secret(secret: &[u8]) -> Self {
        Self { id: None, material: Material::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret)) }
    }

    fn read(jwk: &Value, readers: Readers) -> Option<Self> {
        let jwk = Jwk::deserialize(jwk).ok()?;
        let may_verify = jwk.key_ops.as_ref().is_none_or(|all| all.iter().any(|one| one == "verify"));
        if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") || !may_verify {
            return None;
        }
        let bytes = |text: &Option<String>| text.as_deref().and_then(|text| decode(text.as_bytes()));
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let n = without_zeros(bytes(&jwk.n)?);
                let e = without_zeros(bytes(&jwk.e)?);
                let fits = (256..=1024).contains(&n.len()) && (1..=4).contains(&e.len());
                fits.then_some(Material::Rsa { n, e })?
            }
            ("EC", Some("P-256")) => {
                let mut point = [4u8; 65];
                point[1..33].copy_from_slice(<&[u8; 32]>::try_from(bytes(&jwk.x)?.as_slice()).ok()?);
                point[33..].copy_from_slice(<&[u8; 32]>::try_from(bytes(&jwk.y)?.as_slice()).ok()?);
                Material::P256(point)
            }
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&jwk.x)?.try_into().ok()?),
            ("oct", _) if readers == Readers::OnlyUs => {
                let secret = bytes(&jwk.k).filter(|secret| secret.len() >= SECRET_MIN)?;
                Material::Secret(hmac::Key::new(hmac::HMAC_SHA256, &secret))
            }
            _ => return None,
        };
        let key = Self { id: jwk.kid, material };
        let said = jwk.alg.as_deref().map(Algorithm::named);
        (said.is_none() || said == Some(Some(key.algorithm()))).then_some(key)
    }

    /// The one algorithm that it is for.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Secret(_) => Algorithm::Hs256,
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Whether a token that says `id` means this key and no other.
    pub(crate) fn is_named(&self, id: Option<&str>) -> bool {
        id.is_some() && self.id.as_deref() == id
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Secret(secret) => hmac::verify(secret, message, signature).is_ok(),
            Material::Rsa { n, e } => signature::RsaPublicKeyComponents { n, e }
                .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            Material::P256(point) => {
                let key = signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point);
                key.verify(message, signature).is_ok()
            }
            Material::Ed25519(point) => signature::UnparsedPublicKey::new(&signature::ED25519, point)
                .verify(message, signature)
                .is_ok(),
        }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

fn without_zeros(bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes[zeros..].to_vec()
}

/// The keys of one source.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
    /// Keys in the document that are of no use here.
    pub(crate) ignored: usize,
}

impl KeySet {
    /// Reads a JWK set. Keys of other kinds and for other purposes are ignored, as the RFC asks; a set without one that
    /// can be used is refused.
    pub(crate) fn read(document: &[u8], readers: Readers) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(document)
            .map_err(|_| "it is no JWK set (`{\"keys\": […]}`)".to_owned())?;
        if document.keys.len() > KEYS_MAX {
            return Err(format!("it has {} keys, and {KEYS_MAX} are the most", document.keys.len()));
        }
        let keys: Vec<Key> = document.keys.iter().filter_map(|jwk| Key::read(jwk, readers)).collect();
        if keys.is_empty() {
            return Err(format!("none of its {} keys can be used", document.keys.len()));
        }
        Ok(Self { ignored: document.keys.len() - keys.len(), keys })
    }

    /// A set of one secret.
    pub(crate) fn of_secret(secret: &[u8]) -> Self {
        Self { keys: vec![Key::secret(secret)], ignored: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys that may have signed a token: those of its name, and those without one.
    pub(crate) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        let named = move |key: &&Key| id.is_none() || key.id.is_none() || key.id.as_deref() == id;
        self.keys.iter().filter(named).filter(move |key| key.algorithm() == algorithm).take(TRIED_MAX)
    }
}
