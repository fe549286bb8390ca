//! TLS towards clients.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::challenge::{ALPN_ACME, Answers, ChallengeAnswer};
use super::pem::{self, CertificateFiles, fault};
use super::{ALPN_HTTP1, ALPN_HTTP2, TlsSession, provider};
use crate::Error;
use crate::stream::Stream;

/// What a listener needs to speak TLS.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// At least one, or `acme`. The names in a certificate say for which hosts it is shown; the first is shown to a client that
    /// names none of them.
    pub certificates: Vec<CertificateFiles>,
    /// Whether an authority gives it certificates while it runs: it answers the authority's questions
    /// ([`Tls::answer`]), and may begin without a certificate. Handshakes then fail until there is one.
    pub acme: bool,
    /// Who may vouch for clients; without it no client is asked who it is.
    pub client_ca: Option<ClientCa>,
    /// From the connection's start to the end of the handshake.
    pub handshake_timeout: Duration,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            acme: false,
            client_ca: None,
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// Who may vouch for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCa {
    /// The certificates of the CA, in PEM.
    pub file: PathBuf,
    /// Whether a client without a certificate is turned away in the handshake.
    pub required: bool,
}

/// TLS of a listener; its certificates can be swapped while it runs.
#[derive(Debug)]
pub struct Tls {
    current: ArcSwap<Current>,
    answers: Arc<Answers>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    handshake_timeout: Duration,
}

impl Tls {
    /// Reads the files.
    pub fn load(options: &TlsOptions) -> Result<Self, Error> {
        let answers = Arc::<Answers>::default();
        Ok(Self { current: ArcSwap::from_pointee(Current::load(options, &answers)?), answers })
    }

    /// Reads the files again and uses them from the next handshake on. On an error nothing changes. Connections that
    /// are open stay open, and no session from before is resumed.
    pub fn reload(&self, options: &TlsOptions) -> Result<(), Error> {
        self.current.store(Arc::new(Current::load(options, &self.answers)?));
        Ok(())
    }

    /// Shows `certificate` (DER), with its key (PKCS #8), to an authority that asks for `host` by TLS-ALPN-01, until
    /// what this gives is dropped. It needs [`TlsOptions::acme`].
    pub fn answer(&self, host: &str, certificate: Vec<u8>, pkcs8: Vec<u8>) -> Result<ChallengeAnswer, Error> {
        self.answers.give(host, certificate, pkcs8)
    }

    pub(crate) fn handshake_timeout(&self) -> Duration {
        self.current.load().handshake_timeout
    }

    /// Speaks TLS on a connection that was just accepted. The flag says whether HTTP/2 was agreed on.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<(Stream, TlsSession, bool)> {
        let acceptor = TlsAcceptor::from(self.current.load().config.clone());
        let mut stream = acceptor.accept(stream).await?;
        if stream.get_ref().1.alpn_protocol() == Some(ALPN_ACME) {
            // The certificate was the answer.
            stream.shutdown().await?;
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "an authority has its answer"));
        }
        let session = TlsSession::of(stream.get_ref().1);
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2);
        Ok((Stream::from(tokio_rustls::TlsStream::from(stream)), session, is_http2))
    }
}

impl Current {
    fn load(options: &TlsOptions, answers: &Arc<Answers>) -> Result<Self, Error> {
        let mut certificates = Certificates::load(&options.certificates)?;
        certificates.answers = options.acme.then(|| answers.clone());
        if certificates.first.is_none() && !options.acme {
            let what = "there is no certificate to show; name at least one";
            return Err(Error::Tls { what: what.to_owned() });
        }
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions)
            .map_err(|error| Error::Tls { what: error.to_string() })?;
        let builder = match &options.client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let roots = Arc::new(pem::roots(&ca.file)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                let verifier = if ca.required { verifier } else { verifier.allow_unauthenticated() }.build();
                builder.with_client_cert_verifier(
                    verifier
                        .map_err(|error| fault(&ca.file, error.to_string(), "name a CA's certificate"))?,
                )
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()];
        config.alpn_protocols.extend(options.acme.then(|| ALPN_ACME.to_vec()));
        Ok(Self { config: Arc::new(config), handshake_timeout: options.handshake_timeout })
    }
}

/// Certificates by the names that are in them.
#[derive(Debug)]
struct Certificates {
    first: Option<Arc<CertifiedKey>>,
    by_name: HashMap<String, Arc<CertifiedKey>>,
    answers: Option<Arc<Answers>>,
}

impl Certificates {
    fn load(files: &[CertificateFiles]) -> Result<Self, Error> {
        let mut first = None;
        let mut by_name = HashMap::new();
        for one in files {
            let key = Arc::new(one.load()?);
            let leaf = key.cert.first().and_then(|leaf| webpki::EndEntityCert::try_from(leaf).ok());
            let leaf = leaf.ok_or_else(|| {
                fault(&one.chain, "its first certificate cannot be read".into(), "put the server's own first")
            })?;
            for name in leaf.valid_dns_names() {
                // Of two certificates for one name, the one that is named first is shown.
                by_name.entry(name.to_ascii_lowercase()).or_insert_with(|| key.clone());
            }
            first.get_or_insert(key);
        }
        Ok(Self { first, by_name, answers: None })
    }

    fn named(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        self.by_name.get(&name).or_else(|| {
            // A wildcard stands for exactly one label.
            let (_, rest) = name.split_once('.')?;
            self.by_name.get(&format!("*.{rest}"))
        })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(answer) = self.answers.as_ref().and_then(|answers| answers.to(&hello)) {
            return answer;
        }
        let named = hello.server_name().and_then(|name| self.named(name));
        named.or(self.first.as_ref()).cloned()
    }
}
