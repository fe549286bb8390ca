//! TLS to the server, in libpq's words.
//!
//! | `sslmode` | TLS | whose certificate it takes | what it helps against |
//! |---|---|---|---|
//! | `disable` | no | | nothing |
//! | `prefer` | where the server has it and it works | anybody's | those who only listen, if nobody is in the way |
//! | `require` | yes | anybody's | those who only listen |
//! | `verify-ca` | yes | one that a trusted authority signed, for any name | those who have no certificate of it |
//! | `verify-full` | yes | one that a trusted authority signed, for the host of the address | whoever stands in between |
//!
//! Trusted are the authorities in the file `sslrootcert`, or else the system's. With `sslrootcert`, `require` is `verify-ca`, as it
//! is in libpq. What cannot be kept is refused, when the address is read or when the server is reached; only `prefer` ever goes
//! on without TLS.
//!
//! A password under `scram-sha-256` is bound to the server's certificate (`channel_binding`), so that nobody can pass it on.

mod attempt;
mod settings;
mod trust;

pub(crate) use attempt::{Attempt, Secured};
pub(crate) use settings::{Mode, Settings, Written};

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use trust::Trust;

/// What a server that speaks TLS from its first byte asks for (`sslnegotiation=direct`).
const PROTOCOL: &[u8] = b"postgresql";

/// Reads the files that `settings` name, which may wait for the disk. What it says of a failure names the setting.
pub(crate) fn configure(settings: &Settings) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("TLS cannot be set up: {error}"))?;
    // As in libpq: who names authorities wants them asked.
    let asks = settings.mode >= Mode::VerifyCa || settings.roots.is_some();
    let roots = asks.then(|| authorities(settings.roots.as_deref())).transpose()?;
    let builder = match roots {
        Some(roots) if settings.mode == Mode::VerifyFull => builder.with_root_certificates(roots),
        roots => builder.dangerous().with_custom_certificate_verifier(Arc::new(Trust::new(roots, &provider))),
    };
    let mut config = match &settings.own {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = certificates("sslcert", cert)?;
            let key = read("sslkey", key, PrivateKeyDer::from_pem_slice)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("`sslcert` and `sslkey` do not go together: {error}"))?
        }
    };
    config.alpn_protocols = settings.direct.then(|| PROTOCOL.to_vec()).into_iter().collect();
    Ok(MakeRustlsConnect::new(config))
}

/// Whose certificates are trusted: those of a file, or the system's.
fn authorities(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = file {
        for certificate in certificates("sslrootcert", file)? {
            roots
                .add(certificate)
                .map_err(|error| format!("`sslrootcert` has a broken certificate: {error}"))?;
        }
        return Ok(roots);
    }
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(
            "this system has no certificates of authorities; install them, or set `sslrootcert`".into()
        );
    }
    Ok(roots)
}

fn certificates(name: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = read(name, file, |text| CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>())?;
    if found.is_empty() {
        return Err(format!("`{name}`: {} holds no certificate in PEM", file.display()));
    }
    Ok(found)
}

fn read<T>(
    name: &str,
    file: &Path,
    take: impl FnOnce(&[u8]) -> Result<T, rustls::pki_types::pem::Error>,
) -> Result<T, String> {
    let text =
        fs::read(file).map_err(|error| format!("`{name}`: cannot read {}: {error}", file.display()))?;
    take(&text).map_err(|error| format!("`{name}`: {} is no PEM that can be read: {error}", file.display()))
}
