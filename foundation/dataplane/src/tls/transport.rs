//! How a service is spoken to.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::pem::{self, CertificateFiles};
use super::{ALPN_HTTP1, ALPN_HTTP2, provider};
use crate::Error;
use crate::address::Address;
use crate::stream::Stream;

/// Which HTTP a service speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: agreed on by ALPN with TLS, known beforehand without. gRPC needs it.
    Http2,
}

/// What a service's certificate is judged by, and what is shown to it.
#[derive(Clone, Debug, Default)]
pub struct TransportTls {
    /// Whom to trust.
    pub roots: Roots,
    /// The name that must be in the service's certificate; the host of its address without.
    pub server_name: Option<String>,
    /// Shown to a service that asks who calls.
    pub certificate: Option<CertificateFiles>,
}

/// Whom to trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// The CAs that the machine trusts.
    #[default]
    Native,
    /// Those in a PEM file, and no others.
    File(PathBuf),
}

/// How the endpoints of a service are spoken to. Without one it is HTTP/1.1 over plain TCP.
///
/// Made once for each service and configuration, and shared: connections are kept for each `Transport` apart.
pub struct Transport {
    /// Unique in this process; 0 is plain HTTP/1.1.
    pub(crate) id: u64,
    pub(crate) protocol: Protocol,
    tls: Option<Connector>,
}

struct Connector {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("protocol", &self.protocol)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

impl Transport {
    /// Reads the files that are named. Plain TCP without `tls`.
    pub fn new(protocol: Protocol, tls: Option<&TransportTls>) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let tls = tls.map(|tls| Connector::new(protocol, tls)).transpose()?;
        Ok(Self { id: NEXT.fetch_add(1, Ordering::Relaxed), protocol, tls })
    }

    /// HTTP/1.1 over TLS, judged by the CAs that the machine trusts: for `https://` addresses. One for the whole process;
    /// the CAs are those of its first use.
    pub fn web() -> Result<Arc<Self>, Error> {
        static WEB: OnceLock<Arc<Transport>> = OnceLock::new();
        if let Some(made) = WEB.get() {
            return Ok(made.clone());
        }
        let made = Arc::new(Self::new(Protocol::Http1, Some(&TransportTls::default()))?);
        Ok(WEB.get_or_init(|| made).clone())
    }

    /// Which HTTP is spoken.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether TLS is.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }
}

impl Connector {
    fn new(protocol: Protocol, tls: &TransportTls) -> Result<Self, Error> {
        let roots = match &tls.roots {
            Roots::Native => native()?,
            Roots::File(file) => pem::roots(file)?,
        };
        let broken = |error: rustls::Error| Error::Tls { what: error.to_string() };
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions)
            .map_err(broken)?
            .with_root_certificates(roots);
        let mut config = match &tls.certificate {
            None => builder.with_no_client_auth(),
            Some(files) => builder
                .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(files.load()?))),
        };
        config.alpn_protocols = match protocol {
            Protocol::Http1 => vec![ALPN_HTTP1.to_vec()],
            Protocol::Http2 => vec![ALPN_HTTP2.to_vec()],
        };
        let server_name = tls.server_name.as_deref().map(named).transpose()?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), server_name })
    }

    async fn connect(&self, stream: TcpStream, address: &str, protocol: Protocol) -> io::Result<Stream> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => named(host_of(address)).map_err(io::Error::other)?,
        };
        let stream = self.connector.connect(name, stream).await?;
        let agreed = stream.get_ref().1.alpn_protocol();
        if protocol == Protocol::Http2 && agreed != Some(ALPN_HTTP2) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the service does not speak HTTP/2"));
        }
        Ok(Stream::from(tokio_rustls::TlsStream::from(stream)))
    }
}

fn named(name: &str) -> Result<ServerName<'static>, Error> {
    let what = || Error::Tls { what: format!("`{name}` is no host that a certificate could be for") };
    ServerName::try_from(name.to_owned()).map_err(|_| what())
}

fn native() -> Result<RootCertStore, Error> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    // A machine's store may hold some that nothing can be done with; the others are what counts.
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let what = "this machine trusts no CA that can be read; install its CA certificates or name a file";
        return Err(Error::Tls { what: what.to_owned() });
    }
    Ok(store)
}

/// The host of `host:port`, without the brackets of IPv6.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Opens a connection.
pub(crate) async fn connect(address: &Address, transport: Option<&Transport>) -> io::Result<Stream> {
    let stream = match address.socket {
        Some(socket) => connect_to(socket).await?,
        None => TcpStream::connect(&*address.name).await?,
    };
    stream.set_nodelay(true)?;
    match transport.and_then(|transport| Some((transport.tls.as_ref()?, transport.protocol))) {
        // Boxed: a handshake holds more state than all the rest of an exchange.
        Some((tls, protocol)) => Box::pin(tls.connect(stream, &address.name, protocol)).await,
        None => Ok(Stream::Plain(stream)),
    }
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    // A connection to a port of this machine that nobody listens on can connect to itself; it is of no use.
    let stream = TcpStream::connect(address).await?;
    match stream.local_addr() {
        Ok(local) if local == address => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
        _ => Ok(stream),
    }
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn the_host_of_an_address_is_what_a_certificate_is_for() {
        assert_eq!(host_of("shop.example:443"), "shop.example");
        assert_eq!(host_of("[::1]:443"), "::1");
        assert_eq!(host_of("127.0.0.1:443"), "127.0.0.1");
    }
}
