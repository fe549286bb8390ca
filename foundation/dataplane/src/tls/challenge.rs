//! Answers to an authority that wants to see who has a name (TLS-ALPN-01, RFC 8737).
//!
//! ```text
//! authority ──ALPN acme-tls/1, SNI shop.example──► listener: the certificate made for this question, then the end
//! client    ──ALPN h2, http/1.1────────────────►   listener: as always
//! ```
//!
//! The question comes to the port that clients use, so nothing else has to be open. A connection that asks it carries
//! no request, and one that does not ask it never sees an answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;

use super::provider;
use crate::Error;

/// The name of the question in ALPN.
pub(super) const ALPN_ACME: &[u8] = b"acme-tls/1";
/// Questions that are answered at one time.
const ANSWERS_MAX: usize = 1_000;

/// Answers by the host that is asked for.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<HashMap<String, Arc<CertifiedKey>>>);

/// An answer that is given as long as this lives.
#[derive(Debug)]
pub struct ChallengeAnswer {
    answers: Arc<Answers>,
    host: String,
}

impl Answers {
    fn by_host(&self) -> MutexGuard<'_, HashMap<String, Arc<CertifiedKey>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the question is asked, and the answer if there is one.
    pub(super) fn to(&self, hello: &ClientHello<'_>) -> Option<Option<Arc<CertifiedKey>>> {
        let mut offers = hello.alpn()?;
        offers.any(|offer| offer == ALPN_ACME).then(|| {
            let host = hello.server_name()?.to_ascii_lowercase();
            self.by_host().get(&host).cloned()
        })
    }

    pub(super) fn give(
        self: &Arc<Self>,
        host: &str,
        certificate: Vec<u8>,
        pkcs8: Vec<u8>,
    ) -> Result<ChallengeAnswer, Error> {
        let chain = vec![CertificateDer::from(certificate)];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pkcs8));
        // Not `from_der`, which reads the certificate: it refuses the extension that makes this one an answer.
        let key = provider().key_provider.load_private_key(key);
        let key = key.map_err(|error| Error::Tls { what: format!("an answer for `{host}`: {error}") })?;
        let answer = CertifiedKey::new(chain, key);
        let host = host.to_ascii_lowercase();
        let mut answers = self.by_host();
        if answers.len() >= ANSWERS_MAX {
            return Err(Error::Tls { what: format!("more than {ANSWERS_MAX} hosts are asked for at once") });
        }
        answers.insert(host.clone(), Arc::new(answer));
        Ok(ChallengeAnswer { answers: self.clone(), host })
    }
}

impl Drop for ChallengeAnswer {
    fn drop(&mut self) {
        self.answers.by_host().remove(&self.host);
    }
}
