//! Consumers: who is known by name, by which keys, and on which plan.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dozen_dataplane::ClientIdentity;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use crate::one_or_many::one_or_many;

/// The longest API key, in bytes.
const KEY_MAX: usize = 512;

/// What the file says of a consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConsumerOptions {
    /// The hash of its API key, `sha256:…`, or of several while one replaces another. The key itself is never written
    /// down here, and must be random, of 128 bits at least: a plain hash does not protect a key that can be guessed.
    #[serde(deserialize_with = "one_or_many")]
    pub key: Vec<KeyHash>,
    /// Names that stand in its client certificates: a URI such as `spiffe://shop/orders`, a DNS name, or the whole
    /// subject such as `CN=orders,O=Shop`.
    #[serde(deserialize_with = "one_or_many")]
    pub certificate: Vec<String>,
    /// Its plan, one of `plans`.
    pub plan: Option<String>,
    /// Words that policies can ask for.
    pub tags: Vec<String>,
}

/// The hash of an API key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a key.
    pub fn of(key: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, key).as_ref());
        Self(hash)
    }

    /// The first bytes, to look it up with.
    fn start(&self) -> u64 {
        self.0.first_chunk().map_or(0, |start| u64::from_ne_bytes(*start))
    }
}

impl TryFrom<String> for KeyHash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // What was written may be the key itself, so it is not repeated.
        let wrong = || {
            "a consumer's `key` is the hash of an API key, `sha256:` and 64 hexadecimal digits; `printf %s KEY | \
             sha256sum` prints the digits"
                .to_owned()
        };
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64).ok_or_else(wrong)?;
        let mut hash = [0; 32];
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            let pair = digits.get(at..at + 2).filter(|pair| pair.bytes().all(|one| one.is_ascii_hexdigit()));
            *byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(wrong)?;
        }
        Ok(Self(hash))
    }
}

impl From<KeyHash> for String {
    fn from(hash: KeyHash) -> Self {
        hash.to_string()
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A new API key, and what to write into the file for it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// For the consumer, and for nobody else: 256 random bits.
    pub key: String,
    /// For the file.
    pub hash: KeyHash,
}

impl ApiKey {
    /// Makes a key from the system's randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let key = format!("dzn_{}", URL_SAFE_NO_PAD.encode(random));
        Ok(Self { hash: KeyHash::of(key.as_bytes()), key })
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// A consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: Arc<str>,
    /// Its plan.
    pub plan: Option<Arc<str>>,
    /// What policies see of it: `name`, `plan`, `tags`.
    pub(crate) value: Value,
}

impl Consumer {
    pub(crate) fn new(name: &str, plan: Option<&str>, tags: &[String]) -> Arc<Self> {
        let value = json!({ "name": name, "plan": plan, "tags": tags });
        Arc::new(Self { name: name.into(), plan: plan.map(Arc::from), value })
    }
}

/// All consumers, to be found by name and by key.
#[derive(Debug, Default)]
pub(crate) struct Consumers {
    by_name: HashMap<Arc<str>, Arc<Consumer>>,
    by_key: HashMap<u64, Vec<(KeyHash, Arc<Consumer>)>>,
    by_certificate: HashMap<String, Arc<Consumer>>,
}

impl Consumers {
    /// Takes what the file says, or says which two share a key.
    pub(crate) fn compile(options: &BTreeMap<String, ConsumerOptions>) -> Result<Self, String> {
        let mut all = Self::default();
        for (name, one) in options {
            let consumer = Consumer::new(name, one.plan.as_deref(), &one.tags);
            for hash in &one.key {
                let same = all.by_key.entry(hash.start()).or_default();
                if let Some((_, other)) = same.iter().find(|(known, _)| known == hash) {
                    return Err(format!("consumers `{}` and `{name}` have the same key", other.name));
                }
                same.push((hash.clone(), consumer.clone()));
            }
            for certificate in &one.certificate {
                if let Some(other) = all.by_certificate.insert(certificate.clone(), consumer.clone()) {
                    return Err(format!(
                        "consumers `{}` and `{name}` have the same certificate name, `{certificate}`",
                        other.name
                    ));
                }
            }
            all.by_name.insert(consumer.name.clone(), consumer);
        }
        Ok(all)
    }

    /// The consumer of this name: the one in the file, or one without plan and tags.
    pub(crate) fn named(&self, name: &str) -> Arc<Consumer> {
        self.by_name.get(name).cloned().unwrap_or_else(|| Consumer::new(name, None, &[]))
    }

    /// Whose key it is. Time tells nothing: what is compared is a hash, which nobody can steer, and the last
    /// comparison takes the same time whatever it finds.
    pub(crate) fn with_key(&self, key: &[u8]) -> Option<&Arc<Consumer>> {
        if key.len() > KEY_MAX {
            return None;
        }
        let hash = KeyHash::of(key);
        let same = self.by_key.get(&hash.start())?;
        same.iter().find(|(known, _)| bool::from(known.0.ct_eq(&hash.0))).map(|(_, consumer)| consumer)
    }

    /// Whose certificate it is: the consumer that has one of its names.
    pub(crate) fn with_certificate(&self, certificate: &ClientIdentity) -> Option<&Arc<Consumer>> {
        certificate.names().find_map(|name| self.by_certificate.get(name))
    }

    /// Whether anybody is known by a certificate.
    pub(crate) fn have_certificates(&self) -> bool {
        !self.by_certificate.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Consumer>> {
        self.by_name.values()
    }

    /// Whether anybody has a key.
    pub(crate) fn have_keys(&self) -> bool {
        !self.by_key.is_empty()
    }
}
