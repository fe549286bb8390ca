//! How services are called, and TLS on both sides: through `dozen up`, from one file with all of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod running;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Instant;

use axum::Router;
use axum::routing::get;
use dozen_dataplane::{
    Body, CertificateFiles, Client, ClientCa, Error, Limits, Protocol, Roots, Server, Tls, TlsOptions,
    TlsSession, Transport, TransportTls,
};
use dozen_harness::free_port;
use dozen_lifecycle::{Ready, Stop};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use running::{PATIENCE, Up};
use tokio::sync::Notify;

/// Writes `text` in one step, as a careful editor does.
fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join("next"), text).unwrap();
    std::fs::rename(folder.join("next"), folder.join(name)).unwrap();
}

/// A CA whose certificates are files in a folder.
struct Ca<'f> {
    folder: &'f Path,
    issuer: Issuer<'static, KeyPair>,
}

impl<'f> Ca<'f> {
    fn new(folder: &'f Path, file: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, file);
        let key = KeyPair::generate().unwrap();
        write(folder, file, &params.self_signed(&key).unwrap().pem());
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str, host: &str) -> CertificateFiles {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        write(self.folder, &format!("{name}.key"), &key.serialize_pem());
        write(self.folder, &format!("{name}.pem"), &certificate.pem());
        CertificateFiles {
            chain: self.folder.join(format!("{name}.pem")),
            key: self.folder.join(format!("{name}.key")),
        }
    }
}

/// A client of the gateway that trusts the CA in `ca`.
fn client(folder: &Path, ca: &str, certificate: Option<&CertificateFiles>) -> Client {
    let tls = TransportTls {
        roots: Roots::File(folder.join(ca)),
        server_name: Some("shop.example".into()),
        certificate: certificate.cloned(),
    };
    Client::new().over(Some(Arc::new(Transport::new(Protocol::Http1, Some(&tls)).unwrap())))
}

async fn ask(client: &Client, port: u16, path: &str) -> Result<Response<Body>, Error> {
    let request = Request::get(path).body(Body::empty()).unwrap();
    client.send(&format!("127.0.0.1:{port}"), request, PATIENCE).await
}

async fn text(client: &Client, port: u16, path: &str) -> (u16, String) {
    let (parts, body) = ask(client, port, path).await.unwrap().into_parts();
    let bytes = body.collect(1 << 20).await.unwrap();
    (parts.status.as_u16(), String::from_utf8(bytes.to_vec()).unwrap())
}

/// An instance that answers as it is told to.
struct Instance {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    well: Arc<AtomicU16>,
    asked: Arc<AtomicU32>,
    go_on: Arc<Notify>,
}

impl Instance {
    async fn start() -> Self {
        let (status, well) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicU16::new(200)));
        let (asked, go_on) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let says = |status: Arc<AtomicU16>| StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap();
        let (orders, count, up, waits) = (status.clone(), asked.clone(), well.clone(), go_on.clone());
        let router = Router::new()
            .route("/up", get(move || std::future::ready(says(up.clone()))))
            .route(
                "/orders",
                get(move || {
                    count.fetch_add(1, Ordering::SeqCst);
                    std::future::ready(says(orders.clone()))
                }),
            )
            .route(
                "/stream",
                get(move || {
                    let (sender, body) = Body::channel(1);
                    let waits = waits.clone();
                    tokio::spawn(async move {
                        let _ = sender.send(Ok("one".into())).await;
                        waits.notified().await;
                        let _ = sender.send(Ok("two".into())).await;
                    });
                    std::future::ready(Response::new(axum::body::Body::new(body)))
                }),
            );
        let address = serve(Limits::default(), router).await;
        Self { address, status, well, asked, go_on }
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn serve(limits: Limits, router: Router) -> SocketAddr {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), limits).unwrap();
    let address = server.local_addr();
    tokio::spawn(server.serving(router).run(Stop::new(), Ready::channel().0));
    address
}

/// A service that speaks HTTP/2 over TLS, to those who show a certificate, and says who they are.
async fn secure(ca: &Ca<'_>) -> SocketAddr {
    let certificates = vec![ca.issue("secure", "secure.example")];
    let client_ca = Some(ClientCa { file: ca.folder.join("ca.pem"), required: true });
    let options = TlsOptions { certificates, client_ca, ..TlsOptions::default() };
    let tls = Some(Arc::new(Tls::load(&options).unwrap()));
    let who = |request: Request<axum::body::Body>| {
        let session = request.extensions().get::<Arc<TlsSession>>().cloned();
        let client = session.and_then(|session| session.client.clone());
        std::future::ready(client.unwrap().subject)
    };
    serve(Limits { tls, ..Limits::default() }, Router::new().route("/who", get(who))).await
}

struct World<'w> {
    folder: &'w Path,
    gateway: u16,
    plain: u16,
    console: u16,
    instances: [SocketAddr; 2],
    secure: SocketAddr,
}

impl World<'_> {
    fn file(&self, attempts_max: u32) -> String {
        let Self { gateway, plain, console, instances: [one, other], secure, .. } = self;
        format!(
            "app: test
store: 'sqlite:a.db'
registry: {{ listen: '127.0.0.1:0' }}
api: false
console: {{ listen: '127.0.0.1:{console}' }}
services:
  orders:
    at: ['http://{one}', 'http://{other}']
    balance: round-robin
    retry: {{ attempts-max: {attempts_max}, backoff: 1ms, per-try-timeout: 5s }}
    budget: {{ percent: 50, per-second-min: 10 }}
    hedge: {{ after: 2s }}
    probe: {{ path: /up, interval: 100ms, unhealthy-after: 2 }}
    eject: {{ failures: 1000, failure-percent: 0 }}
    circuit: {{ requests-min: 1000 }}
    in-flight-max: 100
    pending-max: 10
    slow-start: 1s
  secure:
    at: 'http://{secure}'
    protocol: h2
    tls: {{ ca: ca.pem, cert: gateway.pem, key: gateway.key, server-name: secure.example }}
gateway:
  listen: 127.0.0.1:{gateway}
  tls:
    certificates: {{ cert: shop.pem, key: shop.key }}
    client-ca: ca.pem
    redirect-from: 127.0.0.1:{plain}
  connections-max: 1000
  head-max: 8KiB
  header-timeout: 5s
  idle-timeout: 60s
  stall-timeout: 60s
  routes: {{ /orders: orders, /stream: orders, /who: secure }}
"
        )
    }

    /// A counter of the service `orders`.
    fn counted(&self, name: &str) -> f64 {
        let page = dozen_harness::get(&format!("http://127.0.0.1:{}/metrics", self.console)).unwrap().text();
        let line =
            page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("{service=\"orders\"} "));
        line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
    }

    fn dozen(&self, arguments: &[&str]) -> String {
        let run = Command::new(env!("CARGO_BIN_EXE_dozen")).args(arguments).current_dir(self.folder).output();
        let run = run.unwrap();
        String::from_utf8(run.stdout).unwrap() + &String::from_utf8(run.stderr).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gw_b1_a_service_fails_and_policy_and_certificates_change_without_a_client_noticing() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().to_owned();
    let folder = &*folder;
    let ca = Ca::new(folder, "ca.pem");
    ca.issue("shop", "shop.example");
    ca.issue("gateway", "gateway.example");
    let own = ca.issue("alice", "alice.example");
    let (one, other) = (Instance::start().await, Instance::start().await);
    let world = World {
        folder,
        gateway: free_port(),
        plain: free_port(),
        console: free_port(),
        instances: [one.address, other.address],
        secure: secure(&ca).await,
    };
    let up = Up::within(place, &world.file(3)).ready();
    let port = world.gateway;

    // Who shows no certificate is turned away in the handshake.
    assert!(ask(&client(folder, "ca.pem", None), port, "/orders").await.is_err());
    let alice = client(folder, "ca.pem", Some(&own));
    // Without HTTP/2 agreed on by ALPN there would be no connection to that service.
    assert_eq!(text(&alice, port, "/who").await, (200, "CN=gateway".into()));

    // Whoever comes in plain HTTP is sent there.
    let (parts, _) = ask(&Client::new(), world.plain, "/who?a=b").await.unwrap().into_parts();
    let location = format!("https://127.0.0.1:{port}/who?a=b");
    assert_eq!(parts.status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(parts.headers["location"], location);

    // One instance fails: clients do not notice, and somebody counts.
    one.status.store(503, Ordering::SeqCst);
    for _ in 0..6 {
        assert_eq!(text(&alice, port, "/orders").await.0, 200);
    }
    assert!(one.asked() >= 1 && world.counted("dozen_service_retries_total") >= f64::from(one.asked()));

    // Its probes say so: it is not even asked any more.
    one.well.store(500, Ordering::SeqCst);
    let until = Instant::now() + PATIENCE;
    while world.counted("dozen_service_probes_failed_total") < 3.0 {
        assert_eq!(text(&alice, port, "/orders").await.0, 200);
        assert!(Instant::now() < until, "nobody asks it whether it is well");
    }
    let before = one.asked();
    for _ in 0..10 {
        assert_eq!(text(&alice, port, "/orders").await.0, 200);
    }
    assert_eq!(one.asked(), before, "an instance that is ill is still asked");
    let explained = world.dozen(&["explain", "GET", "/orders"]);
    assert!(
        explained.contains("retry     up to 3 attempts, 5s each on connect, reset, timeout"),
        "{explained}"
    );
    assert!(explained.contains("probe     GET /up every 100ms"), "{explained}");
    assert!(world.dozen(&["explain", "GET", "/who"]).contains("over      HTTP/2 over TLS"));

    // A stream is under way while the policy and the certificate change.
    let (parts, mut stream) = ask(&alice, port, "/stream").await.unwrap().into_parts();
    assert_eq!(parts.status, 200);
    let mut piece = async || {
        let frame = poll_fn(|cx| Pin::new(&mut stream).poll_frame(cx));
        let frame = tokio::time::timeout(PATIENCE, frame).await.unwrap();
        frame.map(|frame| frame.unwrap().into_data().unwrap())
    };
    assert_eq!(piece().await.unwrap(), "one");
    write(folder, "new.yaml", &world.file(1));
    let said = world.dozen(&["diff", "dozen.yaml", "new.yaml"]);
    assert_eq!(said, "~ service `orders`: retry.attempts-max\n");
    write(folder, "dozen.yaml", &world.file(1));
    up.hear("the file was taken over");
    let second = Ca::new(folder, "second.pem");
    second.issue("shop", "shop.example");
    up.hear("certificates were read again");
    let renewed = client(folder, "second.pem", Some(&own));
    assert_eq!(text(&renewed, port, "/who").await.0, 200);
    assert!(
        ask(&client(folder, "ca.pem", Some(&own)), port, "/who").await.is_err(),
        "the old one is shown no more"
    );

    // What the file says now holds: nothing is sent again.
    one.well.store(200, Ordering::SeqCst);
    let until = Instant::now() + PATIENCE;
    while text(&renewed, port, "/orders").await.0 != 503 {
        assert!(
            Instant::now() < until,
            "an instance that is well again is asked again, and its answer passed on"
        );
    }
    one.go_on.notify_one();
    other.go_on.notify_one();
    assert_eq!(piece().await.unwrap(), "two", "the stream goes on with what it began with");
    assert!(piece().await.is_none());
}

#[test]
fn what_cannot_work_is_told_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let check = |service: &str, gateway: &str| {
        let text = format!(
            "app: a\nservices:\n  s: {{ at: 'http://127.0.0.1:1'{service} }}\ngateway: {{ {gateway} }}\n"
        );
        write(folder.path(), "dozen.yaml", &text);
        let run = Command::new(env!("CARGO_BIN_EXE_dozen")).arg("check").current_dir(folder.path()).output();
        String::from_utf8(run.unwrap().stderr).unwrap()
    };
    let certificates = "tls: { certificates: { cert: a.pem, key: a.key } }";
    for (service, gateway, says) in [
        (", retry: { on: [conect] }", "", "did you mean `connect`?"),
        (", retry: { on: [200] }", "", "`200` is no failure that is retried"),
        (", retry: { attempts-mx: 3 }", "", "did you mean `attempts-max`?"),
        (", hedge: soon", "", "neither a duration such as `50ms` nor `p1` to `p99`"),
        (", protocol: h2", "", "add `tls: true`, or write `h2c`"),
        (", protocol: h2c, tls: true", "", "write `protocol: h2`, or remove `tls`"),
        (", tls: { cert: a.pem }", "", "write both `cert` and `key`"),
        (", tls: { ca: none.pem }", "", "none.pem cannot be used for TLS"),
        (", pending-max: 5", "", "`pending-max` needs `in-flight-max`"),
        (", probe: { path: up }", "", "write a path"),
        (", protocol: h2c, health: /up", "", "let the gateway ask with `probe`"),
        ("", certificates, "a.pem cannot be used for TLS"),
        ("", "head-max: 100B", "a head is bounded by 1KiB at least"),
    ] {
        let said = check(service, gateway);
        assert!(said.contains(says), "{service} {gateway}: {said}");
    }
}
