//! `gateway.tls.acme`: a certificate from a real authority, asked for by `dozen up`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod running;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dozen_dataplane::{Body, Client, Protocol, Roots, Transport, TransportTls};
use dozen_harness::{Pebble, free_port};
use rcgen::{CertificateParams, KeyPair};
use running::{PATIENCE, Up};

/// A client that trusts what leads to the certificate in `file`.
fn trusting(file: &Path) -> Client {
    let tls = TransportTls { roots: Roots::File(file.to_owned()), ..TransportTls::default() };
    Client::new().over(Some(Arc::new(Transport::new(Protocol::Http1, Some(&tls)).unwrap())))
}

async fn get(client: &Client, address: &str, path: &str) -> Option<(u16, Vec<u8>)> {
    let request = http::Request::get(path).body(Body::empty()).unwrap();
    let (head, body) = client.send(address, request, PATIENCE).await.ok()?.into_parts();
    Some((head.status.as_u16(), body.collect(1 << 20).await.ok()?.to_vec()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dozen_up_gets_a_certificate_and_serves_with_it() {
    let place = tempfile::tempdir().unwrap();
    let of = |name: &str| place.path().join(name);
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(of("pebble.pem"), own.pem()).unwrap();
    std::fs::write(of("pebble.key"), key.serialize_pem()).unwrap();
    let port = free_port();
    let pebble = Pebble::start(place.path(), &of("pebble.pem"), &of("pebble.key"), port).unwrap();
    let root = get(&trusting(&of("pebble.pem")), &pebble.management(), "/roots/0").await.unwrap().1;
    std::fs::write(of("root.pem"), root).unwrap();

    let file = format!(
        "app: test
store: 'sqlite:a.db'
registry: {{ listen: '127.0.0.1:0' }}
api: false
console: false
gateway:
  listen: 127.0.0.1:{port}
  tls:
    acme: {{ names: [localhost], directory: '{}', ca: '{}' }}
  routes:
    /here: {{ answer: {{ status: 200, body: here }} }}
",
        pebble.directory(),
        of("pebble.pem").display(),
    );
    let up = Up::start(&file, &[]).ready();
    let client = trusting(&of("root.pem"));
    let served = async {
        loop {
            match get(&client, &format!("localhost:{port}"), "/here").await {
                Some(answer) => return answer,
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    let served = tokio::time::timeout(PATIENCE, served).await;
    let answer = served.unwrap_or_else(|_| panic!("{}\n{}", up.program.output(), pebble.output()));
    assert_eq!(answer, (200, b"here".to_vec()));
    assert!(up.folder.path().join("acme/certificate.pem").exists(), "it is kept beside the file");
    up.stop();
}
