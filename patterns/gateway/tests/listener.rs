//! What the gateway's listener asks of clients, and what it tells of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod world;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dozen_gateway::{
    AccessLogOptions, Certificate, ClientCaOptions, Options, QueryShown, RouteOptions, ServiceOptions,
    ServiceTls, TlsOptions,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use world::{Registry, SOON, World, echo, options};

/// An authority that a test makes, and the folder of what it signs.
struct Authority {
    place: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

type Shown = (CertificateDer<'static>, PrivateKeyDer<'static>);

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("ca.pem"), root.pem()).unwrap();
        Self { root: root.der().clone(), issuer: Issuer::new(params, key), place }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn sign(&self, subject: &str, names: &[SanType]) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, subject);
        params.subject_alt_names = names.to_vec();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Writes a certificate for `localhost` under this name.
    fn write(&self, name: &str) -> Certificate {
        let (cert, key) = self.sign("door", &[SanType::DnsName("localhost".try_into().unwrap())]);
        let of = |end: &str| self.path(&format!("{name}.{end}"));
        std::fs::write(of("pem"), cert.pem()).unwrap();
        std::fs::write(of("key"), key.serialize_pem()).unwrap();
        Certificate { cert: of("pem"), key: of("key") }
    }

    fn client(&self) -> Shown {
        let uri = SanType::URI("spiffe://shop/orders".try_into().unwrap());
        let dns = SanType::DnsName("orders.example".try_into().unwrap());
        let (cert, key) = self.sign("orders", &[uri, dns]);
        (cert.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    async fn connect(&self, world: &World, shown: Option<Shown>) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots);
        let config = match shown {
            Some((cert, key)) => config.with_client_auth_cert(vec![cert], key).unwrap(),
            None => config.with_no_client_auth(),
        };
        let stream = TcpStream::connect(world.gateway.local_addr()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }
}

/// The whole answer to one request, in small letters.
async fn ask(mut stream: TlsStream<TcpStream>, path: &str, headers: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap().to_ascii_lowercase()
}

fn route(value: Value) -> RouteOptions {
    serde_json::from_value(value).unwrap()
}

fn door(authority: &Authority, routes: Vec<RouteOptions>) -> Options {
    let tls = TlsOptions { certificates: vec![authority.write("door")], ..TlsOptions::default() };
    Options { tls: Some(tls), ..options(routes) }
}

async fn echoing() -> Registry {
    let registry = Registry::default();
    registry.set("orders", &[echo("orders").await]);
    registry
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate_to_rules_consumers_services_and_the_log() {
    let authority = Authority::new();
    let rule = "client.dns.exists(name, name == 'orders.example') && client.subject == 'CN=orders'";
    let mut wanted = door(
        &authority,
        vec![
            route(
                json!({ "match": { "path": "/in" }, "to": "orders", "auth": { "any": "machine", "require": rule } }),
            ),
            route(json!({ "match": { "path": "/open" }, "to": "orders" })),
        ],
    );
    let tls = wanted.tls.as_mut().unwrap();
    tls.client_ca = Some(ClientCaOptions { file: authority.path("ca.pem"), optional: true });
    wanted.identity =
        serde_json::from_value(json!({ "machine": { "certificate": { "header": "X-Client-Cert" } } }))
            .unwrap();
    wanted.consumers =
        serde_json::from_value(json!({ "shop-orders": { "certificate": "spiffe://shop/orders" } })).unwrap();
    let log = authority.path("access.jsonl");
    wanted.access_log =
        Some(AccessLogOptions { to: log.display().to_string(), query: QueryShown::default() });
    let world = World::start(wanted, echoing().await).await;

    let known = authority.connect(&world, Some(authority.client())).await;
    let told = ask(known, "/in", "x-client-cert: forged\r\nuser-agent: probe/1\r\n").await;
    assert!(told.starts_with("http/1.1 200") && told.contains("dozen-consumer: shop-orders\r\n"), "{told}");
    let names = "x-client-cert: subject=\"cn=orders\";uri=spiffe://shop/orders;dns=orders.example\r\n";
    assert!(told.contains(names) && !told.contains("forged"), "{told}");
    let nobody = authority.connect(&world, None).await;
    assert!(ask(nobody, "/in", "").await.starts_with("http/1.1 401"));
    let nobody = authority.connect(&world, None).await;
    let told = ask(nobody, "/open", "x-client-cert: forged\r\n").await;
    assert!(told.starts_with("http/1.1 200") && !told.contains("forged"), "{told}");
    // A certificate that is nobody's in particular does not pass.
    let (cert, key) = authority.sign("guest", &[]);
    let guest = (cert.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap());
    let guest = authority.connect(&world, Some(guest)).await;
    assert!(ask(guest, "/in", "").await.starts_with("http/1.1 403"));
    world.end().await;

    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let first = lines.iter().find(|line| line["consumer"] == "shop-orders").unwrap();
    let has = |name: &str, value: Value| assert_eq!(first[name], value, "{name} of {first}");
    has("certificate", json!("spiffe://shop/orders"));
    has("address", json!("127.0.0.1"));
    has("version", json!("HTTP/1.1"));
    has("agent", json!("probe/1"));
    has("attempts", json!(1));
    has("failure", json!(null));
    assert!(first["endpoint"].as_str().unwrap().starts_with("127.0.0.1:") && first["upstream-us"].is_u64());
    assert!(lines.iter().any(|line| line["refused"] == "certificate"), "{text}");
}

#[tokio::test]
async fn plain_http_is_answered_with_the_way_to_tls() {
    let authority = Authority::new();
    let mut wanted = door(&authority, vec![RouteOptions::new("/{*rest}", "orders")]);
    wanted.tls.as_mut().unwrap().redirect_from = Some("127.0.0.1:0".parse().unwrap());
    let world = World::start(wanted, echoing().await).await;
    let mut wire = world::Wire::connect(world.gateway.plain_addr().unwrap()).await;
    let port = world.gateway.local_addr().port();
    for _ in 0..2 {
        wire.send("POST /a/./b?c=d HTTP/1.1\r\nhost: Shop.example:80\r\ncontent-length: 2\r\n\r\nhi").await;
        let answer = wire.answer(false).await;
        assert_eq!(answer.status, 308);
        assert_eq!(answer.header("location"), Some(&*format!("https://shop.example:{port}/a/b?c=d")));
    }
    wire.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(wire.answer(false).await.status, 400);
    let known = authority.connect(&world, None).await;
    assert!(ask(known, "/a", "").await.starts_with("http/1.1 200"));
    world.end().await;
}

#[tokio::test]
async fn a_broken_certificate_of_a_service_does_not_keep_the_listeners_own_from_being_renewed() {
    let authority = Authority::new();
    let mut wanted = door(&authority, vec![RouteOptions::new("/{*rest}", "orders")]);
    let tls = ServiceTls { ca: Some(authority.path("ca.pem")), ..ServiceTls::default() };
    let called = ServiceOptions { tls: Some(tls), ..ServiceOptions::default() };
    wanted.services = std::collections::BTreeMap::from([("other".to_owned(), called)]);
    let world = World::start(wanted, echoing().await).await;
    let before = shown(&authority.connect(&world, None).await);
    replace(&authority.path("ca.pem"), b"no certificate at all");
    let renewed = authority.write("door");
    replace(&renewed.cert, &std::fs::read(&renewed.cert).unwrap());
    let renewal = async {
        while shown(&authority.connect(&world, None).await) == before {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, renewal).await.expect("the listener's certificate is renewed");
    world.end().await;
}

/// In one step, as whoever renews certificates does.
fn replace(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes).unwrap();
    std::fs::rename(beside, path).unwrap();
}

fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn one_client_cannot_take_the_places_of_all() {
    let mut wanted = options(vec![RouteOptions::new("/{*rest}", "orders")]);
    wanted.connections_per_address = 2.try_into().unwrap();
    let world = World::start(wanted.clone(), echoing().await).await;
    let (mut one, mut two) = (world.connect().await, world.connect().await);
    for wire in [&mut one, &mut two] {
        wire.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(wire.answer(false).await.status, 200);
    }
    assert_eq!(world.connect().await.head().await, None, "a third is closed at once");
    drop(one);
    let room = async {
        loop {
            let mut wire = world.connect().await;
            let sent = wire.stream.write_all(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
            if sent.is_ok() && wire.head().await.is_some() {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, room).await.expect("who leaves makes room");
    // Those who bring the connections of many may have any number, from the next connection on.
    wanted.listen = world.gateway.options().listen;
    wanted.trusted = vec!["127.0.0.0/8".parse().unwrap()];
    world.gateway.apply(&wanted).unwrap();
    let mut many = Vec::new();
    for _ in 0..5 {
        let mut wire = world.connect().await;
        wire.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(wire.answer(false).await.status, 200);
        many.push(wire);
    }
    drop((two, many));
    world.end().await;
}
