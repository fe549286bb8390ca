//! Somebody who issues tokens and publishes keys.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dozen_core::{Clock, SystemClock};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::world::{Running, serve};

/// A key and its name.
type Pair = (String, Arc<Ed25519KeyPair>);

/// Its keys, and how often they were fetched.
#[derive(Clone, Default)]
pub(crate) struct Issuer {
    keys: Arc<Mutex<Vec<Pair>>>,
    fetches: Arc<AtomicUsize>,
}

pub(crate) fn segment(value: &Value) -> String {
    encoded(value.to_string().as_bytes())
}

pub(crate) fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemClock.now().0 / 1_000_000
}

/// What a good token says.
pub(crate) fn claims() -> Value {
    json!({"iss": "https://id.example", "aud": "shop", "sub": "alice", "scope": "orders.read", "exp": now() + 600})
}

impl Issuer {
    /// With one key.
    pub(crate) fn new(key: &str) -> Self {
        let issuer = Self::default();
        issuer.rotate(&[key]);
        issuer
    }

    /// Publishes these keys; those that it has stay the same, others go.
    pub(crate) fn rotate(&self, names: &[&str]) {
        let mut keys = self.keys.lock().unwrap();
        let old = std::mem::take(&mut *keys);
        for name in names {
            let kept = old.iter().find(|(known, _)| known == name).map(|(_, key)| key.clone());
            let key = kept.unwrap_or_else(|| {
                let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
                Arc::new(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
            });
            keys.push(((*name).to_owned(), key));
        }
    }

    /// A token of a key.
    pub(crate) fn token(&self, key: &str, claims: &Value) -> String {
        let keys = self.keys.lock().unwrap();
        let pair = keys.iter().find(|(known, _)| known == key).map(|(_, pair)| pair.clone()).unwrap();
        let signed = format!("{}.{}", segment(&json!({"alg": "EdDSA", "kid": key})), segment(claims));
        let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// A well-formed token of a key that nobody has.
    pub(crate) fn stranger(name: &str) -> String {
        format!(
            "{}.{}.{}",
            segment(&json!({"alg": "EdDSA", "kid": name})),
            segment(&claims()),
            "A".repeat(86)
        )
    }

    /// The key set, as it is published.
    pub(crate) fn document(&self) -> Value {
        let keys = self.keys.lock().unwrap();
        let jwk = |(name, pair): &Pair| {
            let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
            json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": name, "x": x})
        };
        json!({ "keys": keys.iter().map(jwk).collect::<Vec<_>>() })
    }

    /// How often they were fetched.
    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// Publishes at `…/keys`.
    pub(crate) async fn publish(&self) -> (String, Running) {
        let issuer = self.clone();
        let keys = move || {
            issuer.fetches.fetch_add(1, Ordering::SeqCst);
            let document = issuer.document();
            async move { (StatusCode::OK, document.to_string()) }
        };
        let (url, running) = serve(Router::new().route("/keys", get(keys))).await;
        (format!("{url}/keys"), running)
    }
}
