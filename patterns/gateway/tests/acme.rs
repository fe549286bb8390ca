//! Certificates from a real authority.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod world;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Clock as _, ManualClock, SystemClock};
use dozen_dataplane::{Body, CertificateFiles, Client, Protocol, Roots, Transport, TransportTls};
use dozen_gateway::{AcmeOptions, AcmeView, Certificate, Options, RouteOptions, TlsOptions};
use dozen_harness::{Pebble, free_port};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use world::{Registry, SOON, World, echo, options};

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A certificate that vouches for itself.
fn certificate(folder: &Path, name: &str, host: &str) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let files =
        Certificate { cert: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) };
    std::fs::write(&files.cert, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    files
}

struct Running {
    world: World,
    clock: Arc<ManualClock>,
}

impl Running {
    async fn start(options: Options) -> Self {
        let registry = Registry::default();
        registry.set("service", &[echo("one").await]);
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        Self { world: World::at(clock.clone(), options, registry).await, clock }
    }

    /// How it stands once that is as awaited.
    async fn acme(&self, is_so: impl Fn(&AcmeView) -> bool) -> AcmeView {
        let stands = async {
            loop {
                let view = self.world.gateway.acme().unwrap();
                if is_so(&view) {
                    return view;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        let stands = timeout(SOON, stands).await;
        stands.unwrap_or_else(|_| panic!("it is still {:?}", self.world.gateway.acme()))
    }
}

/// A connection for `name`, if the certificate that is shown leads to a root.
async fn connect(port: u16, name: &'static str, roots: &RootCertStore) -> Option<TlsStream<TcpStream>> {
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots.clone()).with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name).unwrap(), stream).await.ok()
}

/// The same as soon as there is one that shows another certificate than `before`.
async fn connect_anew(port: u16, roots: &RootCertStore, before: &[u8]) -> TlsStream<TcpStream> {
    let anew = async {
        loop {
            match connect(port, "localhost", roots).await {
                Some(stream) if shown(&stream) != before => return stream,
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    timeout(SOON, anew).await.unwrap()
}

fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

async fn ask(stream: &mut TlsStream<TcpStream>) {
    stream.write_all(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = [0; 4096];
    let read = timeout(SOON, stream.read(&mut answer)).await.unwrap().unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_obtained_served_by_sni_kept_over_a_restart_and_renewed_under_open_connections() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let own = certificate(folder, "pebble", "localhost");
    let other = certificate(folder, "other", "other.example");
    let port = free_port();
    let pebble = Pebble::start(folder, &own.cert, &own.key, port).unwrap();

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&other.cert).unwrap()).unwrap();
    let tls = TransportTls { roots: Roots::File(own.cert.clone()), ..TransportTls::default() };
    let transport = Arc::new(Transport::new(Protocol::Http1, Some(&tls)).unwrap());
    let client = Client::new().over(Some(transport));
    let root = http::Request::get("/roots/0").body(Body::empty()).unwrap();
    let root = client.send(&pebble.management(), root, SOON).await.unwrap().into_body();
    let root = root.collect(1 << 20).await.unwrap();
    roots.add(CertificateDer::from_pem_slice(&root).unwrap()).unwrap();

    let acme = AcmeOptions {
        names: vec!["localhost".into()],
        directory: pebble.directory(),
        contact: Some("mailto:shop@example.org".into()),
        ca: Some(own.cert.clone()),
        folder: folder.join("acme"),
    };
    let mut options = Options {
        listen: format!("127.0.0.1:{port}").parse().unwrap(),
        tls: Some(TlsOptions { acme: Some(acme.clone()), ..TlsOptions::default() }),
        ..options(vec![RouteOptions::new("/{*rest}", "service")])
    };

    // It begins without any certificate, and answers the authority on the same port.
    let fresh = Running::start(options.clone()).await;
    let view = fresh.acme(|view| view.obtained + view.failed > 0).await;
    assert_eq!((view.obtained, view.problem), (1, None), "{}", pebble.output());
    let mut stream = connect_anew(port, &roots, b"").await;
    ask(&mut stream).await;
    let first = shown(&stream);
    drop(stream);
    fresh.world.end().await;
    assert_eq!(mode(&acme.folder), 0o700);
    for name in ["account.json", "certificate.pem"] {
        assert_eq!(mode(&acme.folder.join(name)), 0o600, "{name}");
    }
    let account = std::fs::read(acme.folder.join("account.json")).unwrap();

    // The next one takes what is there and asks nobody, and shows it to those who ask for its name.
    options.tls.as_mut().unwrap().certificates = vec![other];
    let next = Running::start(options).await;
    let mut open = connect(port, "localhost", &roots).await.unwrap();
    assert_eq!(shown(&open), first);
    assert_ne!(shown(&connect(port, "other.example", &roots).await.unwrap()), first);
    ask(&mut open).await;
    let view = next.acme(|view| view.until.is_some()).await;
    assert_eq!((view.obtained, view.failed), (0, 0));

    // Two thirds of its life later there is another one, and the connection is the same.
    let now = next.clock.now();
    next.clock.advance(4 * YEAR);
    assert!(next.clock.now() < view.until.unwrap(), "the authority gives five years");
    let view = next.acme(|view| view.obtained + view.failed > 0).await;
    assert_eq!((view.obtained, view.problem), (1, None), "{}", pebble.output());
    next.clock.set(now);
    let mut renewed = connect_anew(port, &roots, &first).await;
    ask(&mut renewed).await;
    ask(&mut open).await;
    assert_eq!(shown(&open), first);
    assert_eq!(std::fs::read(acme.folder.join("account.json")).unwrap(), account);
    drop((open, renewed));
    next.world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_cannot_be_asked_stops_nothing_and_is_told_with_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let other = certificate(folder, "other", "other.example");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&other.cert).unwrap()).unwrap();
    let acme = AcmeOptions {
        names: vec!["localhost".into()],
        directory: format!("https://localhost:{}/dir", free_port()),
        contact: None,
        ca: Some(other.cert.clone()),
        folder: folder.join("acme"),
    };
    // What is no certificate in the folder is as good as none.
    std::fs::create_dir(&acme.folder).unwrap();
    std::fs::write(acme.folder.join("certificate.pem"), "nothing of use").unwrap();
    let tls = TlsOptions { certificates: vec![other], acme: Some(acme), ..TlsOptions::default() };
    let route = RouteOptions::new("/{*rest}", "service");
    let running = Running::start(Options { tls: Some(tls), ..options(vec![route]) }).await;
    let view = running.acme(|view| view.failed > 0).await;
    assert_eq!((view.until, view.obtained, view.failed), (None, 0, 1));
    assert!(view.problem.as_ref().unwrap().contains("check `acme.directory`"), "{view:?}");
    let port = running.world.gateway.local_addr().port();
    ask(&mut connect(port, "other.example", &roots).await.unwrap()).await;
    running.world.end().await;
}

#[test]
fn what_cannot_work_is_refused_before_anybody_is_asked() {
    let good = AcmeOptions {
        names: vec!["shop.example".into()],
        directory: "https://acme.example/dir".into(),
        contact: Some("mailto:shop@example.org".into()),
        ca: None,
        folder: "acme".into(),
    };
    good.check().unwrap();
    let bad = |change: fn(&mut AcmeOptions)| {
        let mut options = good.clone();
        change(&mut options);
        options.check().unwrap_err().to_string()
    };
    assert!(bad(|options| options.names.clear()).contains("from 1 to 100"));
    assert!(bad(|options| options.names.push("*.shop.example".into())).contains("wildcards"));
    assert!(bad(|options| options.directory = "http://acme.example".into()).contains("https://"));
    assert!(bad(|options| options.contact = Some("shop@example.org".into())).contains("mailto:"));
    let files = CertificateFiles { chain: "no.pem".into(), key: "no.pem".into() };
    assert!(files.facts().unwrap_err().to_string().contains("no.pem"));
}
