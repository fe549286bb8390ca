//! Certificates and keys from files.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::provider;
use crate::Error;

/// A certificate with its chain, and its private key, each a file in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate first, then those that lead from it towards a root.
    pub chain: PathBuf,
    /// Its private key, without a pass phrase: PKCS #8, PKCS #1 or SEC1.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// Reads both, and sees that they belong together.
    pub(super) fn load(&self) -> Result<CertifiedKey, Error> {
        let chain = certificates(&self.chain)?;
        let key = private_key(&self.key)?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => fault(
                &self.key,
                format!("it is not the key of the certificate in {}", self.chain.display()),
                "name the key and the certificate that were made together",
            ),
            other => fault(&self.key, other.to_string(), "use an RSA, ECDSA (P-256, P-384) or Ed25519 key"),
        })
    }
}

/// All certificates of a file, at least one.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| malformed(file, &error))?;
    if found.is_empty() {
        let what = "it holds no certificate".to_owned();
        return Err(fault(file, what, "name a PEM file with `-----BEGIN CERTIFICATE-----` in it"));
    }
    Ok(found)
}

/// The certificates of a file as those that everything is trusted from.
pub(super) fn roots(file: &Path) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(file)? {
        store.add(certificate).map_err(|error| {
            fault(file, format!("a certificate in it cannot be a root: {error}"), "name a CA's certificate")
        })?;
    }
    Ok(store)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = read(file)?;
    if text.windows(9).any(|window| window == b"ENCRYPTED") {
        let what = "its key is protected by a pass phrase".to_owned();
        return Err(fault(
            file,
            what,
            "decrypt it, for example with `openssl pkey -in old.pem -out new.pem`",
        ));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => fault(
            file,
            "it holds no private key".to_owned(),
            "name a PEM file with `-----BEGIN PRIVATE KEY-----` in it",
        ),
        other => malformed(file, &other),
    })
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(file).map_err(|error| {
        fault(file, format!("it cannot be read: {error}"), "check the path and who may read the file")
    })
}

/// The parser's text can quote a line of the file, which may be one of a key; so it is not repeated.
fn malformed(file: &Path, error: &pem::Error) -> Error {
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end",
        pem::Error::Base64Decode(_) => "a section is not in base64",
        _ => "it is no PEM",
    };
    fault(file, what.to_owned(), "copy or export the file again; it may have been cut short")
}

pub(super) fn fault(file: &Path, what: String, todo: &'static str) -> Error {
    Error::Certificate { file: file.to_owned(), what, todo }
}
