//! Whoever calls a service calls it as the file says: through `dozen up`, in TLS, where nothing else is understood.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod running;

use std::sync::Arc;

use axum::Router;
use dozen_dataplane::{Limits, Server, Tls, TlsOptions};
use dozen_harness::{free_port, get, request};
use dozen_lifecycle::{Ready, Stop};
use http::StatusCode;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use running::{PATIENCE, Up};
use tokio::sync::mpsc;

/// A service of which everything is a secret: it speaks TLS and nothing else.
struct Secure {
    port: u16,
    asked: mpsc::UnboundedReceiver<(String, String)>,
}

impl Secure {
    async fn start(folder: &std::path::Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "a CA of a test");
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let names = vec!["localhost".to_owned(), "secure.example".to_owned()];
        let own = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&own, &issuer).unwrap();
        let (chain, key) = (folder.join("own.pem"), folder.join("own.key"));
        std::fs::write(&chain, certificate.pem()).unwrap();
        std::fs::write(&key, own.serialize_pem()).unwrap();
        let certificates = vec![dozen_dataplane::CertificateFiles { chain, key }];
        let tls = Tls::load(&TlsOptions { certificates, ..TlsOptions::default() }).unwrap();
        let limits = Limits { tls: Some(Arc::new(tls)), ..Limits::default() };
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), limits).unwrap();
        let port = server.local_addr().port();
        let (sender, asked) = mpsc::unbounded_channel();
        let router = Router::new().fallback(move |uri: http::Uri, body: String| {
            let _ = sender.send((uri.path().to_owned(), body));
            let answer = match uri.path() {
                "/keys" => (StatusCode::OK, r#"{"keys":[]}"#),
                "/check" => (StatusCode::FORBIDDEN, "no"),
                _ => (StatusCode::OK, r#"{"left":7}"#),
            };
            std::future::ready(answer)
        });
        tokio::spawn(server.serving(router).run(Stop::new(), Ready::channel().0));
        Self { port, asked }
    }

    /// The body of the next request to `path`; what else is asked meanwhile is passed over.
    async fn asked(&mut self, path: &str) -> String {
        let found = async {
            loop {
                let (asked, body) = self.asked.recv().await.unwrap();
                if asked == path {
                    return body;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("nobody asked {path}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_calls_a_service_speaks_its_tls() {
    let place = tempfile::tempdir().unwrap();
    let mut secure = Secure::start(place.path()).await;
    let [gateway, sidecar] = [(); 2].map(|()| free_port());
    let port = secure.port;
    let file = format!(
        "app: test
store: 'sqlite:a.db'
registry: {{ listen: '127.0.0.1:0' }}
api: false
console: false
services:
  secure:
    at: 'https://127.0.0.1:{port}'
    tls: {{ ca: ca.pem, server-name: secure.example }}
  web: {{ at: 'https://localhost:{port}' }}
  shop: {{ run: 'sleep 60', sidecar: {{ port: {sidecar} }} }}
topics: {{ orders: }}
subscriptions:
  to-service: {{ topics: orders, to: 'secure:/on-order' }}
  to-url: {{ topics: orders, url: 'https://localhost:{port}/hook' }}
providers: {{ erp: {{ service: secure }} }}
translators:
  stock:
    calls:
      item:
        ask: [ {{ provider: erp, request: {{ path: /stock }}, answer: {{ map: {{ left: {{ from: left, as: integer, required: true }} }} }} }} ]
gateway:
  listen: 127.0.0.1:{gateway}
  identity:
    token: {{ jwt: {{ audience: shop, keys: 'https://localhost:{port}/keys' }} }}
    door: {{ forward: 'secure:/check' }}
  routes:
    /both: {{ compose: {{ one: {{ get: 'secure:/one' }}, two: {{ get: 'web:/two' }} }} }}
    /private: {{ to: secure, auth: door }}
    /token: {{ to: secure, auth: token }}
"
    );
    let ca = place.path().join("ca.pem").display().to_string();
    let up = Up::in_folder(place, &file, &[("SSL_CERT_FILE", &ca)]).ready();
    let by_sidecar = |path: &str| format!("http://127.0.0.1:{sidecar}/v1.0/{path}");
    let by_gateway = |path: &str| get(&format!("http://127.0.0.1:{gateway}{path}")).unwrap();

    // Keys of an identity provider are fetched beside the requests.
    secure.asked("/keys").await;

    // Another app invokes it, and a service whose address says all.
    for app in ["secure", "web"] {
        let url = by_sidecar(&format!("invoke/{app}/method/items"));
        let said = request("POST", &url, &[], b"a secret").unwrap();
        assert_eq!((said.status, said.text().as_str()), (200, r#"{"left":7}"#), "{app}");
        assert_eq!(secure.asked("/items").await, "a secret");
    }

    // A translator asks it as its provider.
    let said = get(&by_sidecar("invoke/stock/method/")).unwrap();
    assert_eq!((said.status, said.text().as_str()), (200, r#"{"left":7}"#), "{}", said.text());
    secure.asked("/stock").await;

    // Messages are posted to it.
    let event = request(
        "POST",
        &by_sidecar("publish/pubsub/orders"),
        &[("content-type", "application/json")],
        br#"{"secret":1}"#,
    );
    assert_eq!(event.unwrap().status, 204);
    let (mut service, mut url) = (false, false);
    while !(service && url) {
        let (path, body) = tokio::time::timeout(PATIENCE, secure.asked.recv()).await.unwrap().unwrap();
        assert!(body.contains(r#""secret":1"#), "{path}: {body}");
        service |= path == "/on-order";
        url |= path == "/hook";
    }

    // A composition asks it, and who decides is asked.
    let said = by_gateway("/both");
    assert_eq!(said.status, 200, "{}", said.text());
    assert_eq!(said.text(), r#"{"one":{"left":7},"two":{"left":7}}"#);
    let said = by_gateway("/private");
    assert_eq!((said.status, said.text().as_str()), (403, "no"));
    secure.asked("/check").await;
    drop(up);
}

#[test]
fn an_address_that_says_https_is_held_against_the_rest_of_its_service() {
    let folder = tempfile::tempdir().unwrap();
    let check = |service: &str, rest: &str| {
        let text = format!("app: a\nservices:\n  s: {{ {service} }}\n{rest}");
        std::fs::write(folder.path().join("dozen.yaml"), text).unwrap();
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_dozen"))
            .arg("check")
            .current_dir(folder.path())
            .output()
            .unwrap();
        String::from_utf8(run.stderr).unwrap()
    };
    for (service, rest, says) in [
        ("at: ['https://a', 'http://b:80']", "", "in TLS, or none is"),
        ("at: 'https://a', tls: false", "", "and `tls` is off"),
        ("at: 'https://a', protocol: h2c", "", "write `protocol: h2`"),
        ("at: 'https://a', health: /up", "", "let the gateway ask with `probe`"),
        (
            "at: 'https://a'",
            "gateway: { identity: { door: { forward: 'x:/check' } } }\n",
            "there is no service `x`",
        ),
    ] {
        let said = check(service, rest);
        assert!(said.contains(says), "{service}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_an_instance_for_each_address_and_calls_are_counted_without_a_gateway() {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), Limits::default()).unwrap();
    let port = server.local_addr().port();
    let router = Router::new()
        .fallback(|headers: http::HeaderMap| async move { headers["host"].to_str().unwrap().to_owned() });
    tokio::spawn(server.serving(router).run(Stop::new(), Ready::channel().0));
    let [registry, console, sidecar] = [(); 3].map(|()| free_port());
    let file = format!(
        "app: test
store: 'sqlite:a.db'
registry: {{ listen: '127.0.0.1:{registry}' }}
api: false
console: {{ listen: '127.0.0.1:{console}' }}
services:
  web: {{ at: 'http://localhost:{port}' }}
  shop: {{ run: 'sleep 60', sidecar: {{ port: {sidecar} }} }}
"
    );
    let up = Up::in_folder(tempfile::tempdir().unwrap(), &file, &[]).ready();
    let known =
        || get(&format!("http://127.0.0.1:{registry}/dozen/v1/services/web?all=true")).unwrap().text();
    let begun = std::time::Instant::now();
    while !known().contains(&format!("\"host\":\"localhost:{port}\"")) {
        assert!(begun.elapsed() < PATIENCE, "{}", known());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(known().contains(&format!("\"address\":\"127.0.0.1:{port}\"")), "{}", known());

    let said = get(&format!("http://127.0.0.1:{sidecar}/v1.0/invoke/web/method/")).unwrap();
    assert_eq!((said.status, said.text()), (200, format!("localhost:{port}")));
    let page = get(&format!("http://127.0.0.1:{console}/metrics")).unwrap().text();
    assert!(page.contains("dozen_service_attempts_total{service=\"web\"}"), "{page}");
    drop(up);
}
