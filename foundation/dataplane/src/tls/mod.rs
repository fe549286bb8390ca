//! TLS, on both sides of a proxy.
//!
//! ```text
//! client ──ALPN, SNI──► Tls ──► Stream ──► … ──► Stream ◄── Transport ──ALPN, server name──► service
//!                        │ certificates by name, swapped while it runs      │ roots, own certificate
//!                        └ optional CA of clients ─► TlsSession (who asks)   └ plain or TLS, HTTP/1.1 or HTTP/2
//! ```
//!
//! TLS 1.2 and 1.3 by rustls on ring; there is no switch for less. A swap concerns new connections only: those that
//! are open keep what they agreed on. Files are read and judged whole before anything is swapped, so a bad file leaves
//! the old certificates in force, and its error says which file, what is wrong, and what to do.

mod challenge;
mod facts;
mod identity;
mod pem;
mod server;
mod transport;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use challenge::ChallengeAnswer;
pub use facts::CertificateFacts;
pub use identity::{ClientIdentity, TlsSession};
pub use pem::CertificateFiles;
pub use server::{ClientCa, Tls, TlsOptions};
pub(crate) use transport::connect;
pub use transport::{Protocol, Roots, Transport, TransportTls};

/// The name of HTTP/1.1 in ALPN.
const ALPN_HTTP1: &[u8] = b"http/1.1";
/// The name of HTTP/2 in ALPN.
const ALPN_HTTP2: &[u8] = b"h2";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
