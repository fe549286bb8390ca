//! TLS towards clients and towards services.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use dozen_dataplane::{
    Body, Client, ClientCa, Error, Failure, Forward, Limits, Protocol, ProxyOptions, Reply, Roots, Server,
    Tls, TlsOptions, TlsSession, Transport, TransportTls, Verdict,
};
use dozen_lifecycle::{Ready, Stop};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::wire::Wire;
use crate::world::{Ca, SOON, World, get, http2, options, run, said, text, upstream};

/// A proxy that speaks TLS and says what it knows of its client.
async fn telling(tls: &Arc<Tls>) -> World {
    let options = ProxyOptions { tls: Some(tls.clone()), ..options() };
    let begin = |request: &dozen_dataplane::Incoming<'_>, _: &mut dozen_dataplane::Outgoing<'_>| {
        let text = request.tls.map_or("plain".to_owned(), |session| tell(session));
        Verdict::Reply(Reply::bytes(200, "text/plain", text), 1)
    };
    World::build(options, begin, |_, _| {}).await
}

fn tell(session: &TlsSession) -> String {
    let name = session.server_name.as_deref().unwrap_or("nobody");
    match &session.client {
        None => format!("{name} {}", session.version),
        Some(client) => format!(
            "{name} {} {} {} {}",
            session.version,
            client.subject,
            client.dns.join("+"),
            client.uris.join("+")
        ),
    }
}

/// A client of TLS that trusts `ca`, shows `own`, and offers `protocols`.
async fn connect(
    world: &World,
    ca: &Ca,
    own: Option<&dozen_dataplane::CertificateFiles>,
    name: &str,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca.file()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(files) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(&files.chain).unwrap()],
                PrivateKeyDer::from_pem_file(&files.key).unwrap(),
            )
            .unwrap(),
    };
    config.alpn_protocols = protocols.iter().map(|one| one.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(world.address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name.to_owned()).unwrap(), stream).await
}

async fn over_http1(stream: TlsStream<TcpStream>) -> String {
    let mut wire = Wire::new(stream);
    let mut body = String::new();
    for _ in 0..2 {
        wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        body = wire.answer(false).await.body;
    }
    body
}

#[tokio::test]
async fn the_certificate_of_the_asked_host_is_shown_and_swapped_without_closing_anything() {
    let ca = Ca::new();
    let mut both = TlsOptions {
        certificates: vec![ca.issue("shop", &["shop.test"]), ca.issue("wild", &["*.wild.test"])],
        ..TlsOptions::default()
    };
    let tls = Arc::new(Tls::load(&both).unwrap());
    let world = telling(&tls).await;
    for name in ["shop.test", "SHOP.test", "a.wild.test"] {
        let stream = connect(&world, &ca, None, name, &[]).await.unwrap();
        assert!(over_http1(stream).await.ends_with(" TLSv1.3"), "{name}");
    }
    // A name that no certificate is for gets the first, which the client then refuses.
    connect(&world, &ca, None, "a.b.wild.test", &[]).await.unwrap_err();

    let mut kept = Wire::new(connect(&world, &ca, None, "shop.test", &[]).await.unwrap());
    connect(&world, &ca, None, "new.test", &[]).await.unwrap_err();
    both.certificates.push(ca.issue("new", &["new.test"]));
    tls.reload(&both).unwrap();
    connect(&world, &ca, None, "new.test", &[]).await.unwrap();
    // What cannot be loaded changes nothing.
    both.certificates[0].chain = "/nowhere.pem".into();
    tls.reload(&both).unwrap_err();
    connect(&world, &ca, None, "new.test", &[]).await.unwrap();
    kept.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(kept.answer(false).await.body, "shop.test TLSv1.3");
    drop(kept);
    world.end().await;
}

#[tokio::test]
async fn the_protocol_is_agreed_on_and_other_makers_clients_agree() {
    let ca = Ca::new();
    let certificates = vec![ca.issue("localhost", &["localhost", "127.0.0.1"])];
    let tls = Arc::new(Tls::load(&TlsOptions { certificates, ..TlsOptions::default() }).unwrap());
    let world = telling(&tls).await;
    let stream = connect(&world, &ca, None, "localhost", &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(said(&mut http2(stream).await, get("https://localhost/")).await.body, "localhost TLSv1.3");
    let stream = connect(&world, &ca, None, "localhost", &["http/1.1"]).await.unwrap();
    assert_eq!(over_http1(stream).await, "localhost TLSv1.3");

    let url = format!("https://localhost:{}/", world.address.port());
    let file = ca.file();
    let file = file.to_str().unwrap();
    for (options, expected) in [
        (&["--http2"][..], Ok("localhost TLSv1.3 in 2")),
        (&["--http1.1"], Ok("localhost TLSv1.3 in 1.1")),
        (&["--http1.1", "--tls-max", "1.2"], Ok("localhost TLSv1.2 in 1.1")),
        (&["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"], Err(())),
    ] {
        let mut arguments = vec!["-sS", "--cacert", file, "-w", " in %{http_version}", &url];
        arguments.extend(options);
        match run("curl", &arguments).await {
            Err(why) if why.contains("cannot be run here") => eprintln!("not run: {why}"),
            Ok(output) => assert_eq!(Ok(&*output), expected, "{options:?}"),
            Err(why) => assert_eq!(Err(()), expected, "{options:?}: {why}"),
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_client_is_who_its_certificate_says_it_is() {
    let (ca, other) = (Ca::new(), Ca::new());
    let certificates = vec![ca.issue("localhost", &["localhost"])];
    let required = |required| {
        let client_ca = Some(ClientCa { file: ca.file(), required });
        TlsOptions { certificates: certificates.clone(), client_ca, ..TlsOptions::default() }
    };
    let tls = Arc::new(Tls::load(&required(false)).unwrap());
    let world = telling(&tls).await;
    let orders = ca.issue("orders", &["orders.shop.test"]);
    let stranger = other.issue("stranger", &["orders.shop.test"]);
    let ask = async |own| {
        let stream = connect(&world, &ca, own, "localhost", &[]).await.ok()?;
        let mut wire = Wire::new(stream);
        // In TLS 1.3 a client hears only behind its first words that it was turned away.
        tokio::io::AsyncWriteExt::write_all(&mut wire.stream, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .ok()?;
        let head = wire.head().await?;
        Some(wire.body(&head).await)
    };
    let known = Some("localhost TLSv1.3 O=Shop,CN=orders orders.shop.test ".to_owned());
    assert_eq!(ask(Some(&orders)).await, known);
    assert_eq!(ask(None).await, Some("localhost TLSv1.3".into()));
    assert_eq!(ask(Some(&stranger)).await, None);
    tls.reload(&required(true)).unwrap();
    assert_eq!(ask(Some(&orders)).await, known);
    assert_eq!(ask(None).await, None);
    world.end().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_ended() {
    let ca = Ca::new();
    let certificates = vec![ca.issue("localhost", &["localhost"])];
    let handshake_timeout = Duration::from_millis(100);
    let tls = Tls::load(&TlsOptions { certificates, handshake_timeout, ..TlsOptions::default() });
    let world = telling(&Arc::new(tls.unwrap())).await;
    let mut silent = world.wire().await;
    assert_eq!(silent.rest().await, b"");
    // Somebody who speaks plain HTTP is told nothing that would be HTTP.
    let mut plain = world.wire().await;
    plain.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(!plain.rest().await.starts_with(b"HTTP"));
    world.end().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_with_what_to_do() {
    let ca = Ca::new();
    let (one, two) = (ca.issue("one", &["one.test"]), ca.issue("two", &["two.test"]));
    let path = |name: &str| ca.folder.path().join(name);
    std::fs::write(path("empty.pem"), "nothing").unwrap();
    std::fs::write(path("cut.pem"), "-----BEGIN CERTIFICATE-----\nMIIB\n").unwrap();
    std::fs::write(path("locked.key"), "-----BEGIN ENCRYPTED PRIVATE KEY-----\n").unwrap();
    let error = |chain: std::path::PathBuf, key: std::path::PathBuf| {
        let certificates = vec![dozen_dataplane::CertificateFiles { chain, key }];
        Tls::load(&TlsOptions { certificates, ..TlsOptions::default() }).unwrap_err().to_string()
    };
    for (chain, key, says) in [
        (path("none.pem"), one.key.clone(), "none.pem cannot be used for TLS: it cannot be read"),
        (path("empty.pem"), one.key.clone(), "empty.pem cannot be used for TLS: it holds no certificate"),
        (path("cut.pem"), one.key.clone(), "cut.pem cannot be used for TLS: a section has no end"),
        (one.chain.clone(), one.chain.clone(), "it holds no private key"),
        (one.chain.clone(), two.key.clone(), "two.key cannot be used for TLS: it is not the key of"),
        (one.chain.clone(), path("locked.key"), "protected by a pass phrase; decrypt it"),
    ] {
        let said = error(chain, key);
        assert!(said.contains(says), "{said}");
    }
    let none = Tls::load(&TlsOptions::default()).unwrap_err().to_string();
    assert!(none.contains("name at least one"), "{none}");
}

/// A server that speaks TLS and says who called, and in which version of HTTP.
async fn secure(tls: TlsOptions) -> std::net::SocketAddr {
    let limits = Limits { tls: Some(Arc::new(Tls::load(&tls).unwrap())), ..Limits::default() };
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), limits).unwrap();
    let address = server.local_addr();
    let router = Router::new().fallback(any(|request: axum::extract::Request| async move {
        let session = request.extensions().get::<Arc<TlsSession>>().unwrap();
        let client = session.client.as_ref().map_or("nobody", |client| &client.subject);
        format!("{client} {:?}", request.headers().get("host").unwrap())
    }));
    tokio::spawn(server.serving(router).run(Stop::new(), Ready::channel().0));
    address
}

#[tokio::test]
async fn a_service_is_spoken_to_in_tls_and_both_sides_know_each_other() {
    let ca = Ca::new();
    let address = secure(TlsOptions {
        certificates: vec![ca.issue("service", &["service.test"])],
        client_ca: Some(ClientCa { file: ca.file(), required: true }),
        ..TlsOptions::default()
    })
    .await;
    let own = ca.issue("gateway", &["gateway.test"]);
    let transport = |protocol, name: &str, certificate| {
        let tls = TransportTls { roots: Roots::File(ca.file()), server_name: Some(name.into()), certificate };
        Arc::new(Transport::new(protocol, Some(&tls)).unwrap())
    };
    let upstream = upstream(address);
    let by = [
        ("/1", transport(Protocol::Http1, "service.test", Some(own.clone()))),
        ("/2", transport(Protocol::Http2, "service.test", Some(own.clone()))),
        ("/wrong", transport(Protocol::Http1, "other.test", Some(own))),
        ("/anonymous", transport(Protocol::Http1, "service.test", None)),
    ];
    let mut world = World::start(move |request, _| {
        let by = by.iter().find(|(path, _)| *path == request.path).unwrap().1.clone();
        Verdict::Forward(Forward { transport: Some(by), ..Forward::new(upstream.clone(), 1, 1) })
    })
    .await;
    let mut sender = world.http2().await;
    for path in ["/1", "/2"] {
        for _ in 0..3 {
            let answer = world.ask(&format!("GET {path} HTTP/1.1\r\nhost: shop\r\n\r\n")).await;
            assert_eq!(answer.body, "O=Shop,CN=gateway \"shop\"", "{path}");
            let answer = said(&mut sender, get(&format!("http://shop{path}"))).await;
            assert_eq!(answer.body, "O=Shop,CN=gateway \"shop\"", "{path}");
            assert_eq!((world.ended().await.failure, world.ended().await.failure), (None, None));
        }
    }
    for (path, failure) in [("/wrong", Failure::Connect), ("/anonymous", Failure::Broken)] {
        assert_eq!(world.ask(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await.status, 502, "{path}");
        assert_eq!(world.ended().await.failure, Some(failure));
    }
    drop(sender);
    world.end().await;
}

#[tokio::test]
async fn calls_of_our_own_are_made_in_tls_too() {
    let ca = Ca::new();
    let certificates = vec![ca.issue("service", &["service.test"])];
    let address = secure(TlsOptions { certificates, ..TlsOptions::default() }).await.to_string();
    let over = |protocol, name: &str| {
        let (roots, server_name) = (Roots::File(ca.file()), Some(name.to_owned()));
        let tls = TransportTls { roots, server_name, certificate: None };
        Client::new().over(Some(Arc::new(Transport::new(protocol, Some(&tls)).unwrap())))
    };
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = over(protocol, "service.test");
        for _ in 0..3 {
            let request = http::Request::get("/").header("host", "shop").body(Body::empty()).unwrap();
            let answer = client.send(&address, request, SOON).await.unwrap();
            assert_eq!(text(answer.into_body()).await.unwrap(), "nobody \"shop\"");
        }
        let wrong = over(protocol, "other.test").send(&address, get("/"), SOON).await;
        assert!(matches!(wrong, Err(Error::Connect { .. })), "{wrong:?}");
    }
}

#[tokio::test]
async fn large_bodies_pass_through_tls_on_both_sides() {
    let ca = Ca::new();
    let certificates = vec![ca.issue("localhost", &["localhost"])];
    let tls = TlsOptions { certificates, ..TlsOptions::default() };
    let limits = Limits { tls: Some(Arc::new(Tls::load(&tls).unwrap())), ..Limits::default() };
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), limits).unwrap();
    let service = upstream(server.local_addr());
    let mirror = Router::new().fallback(any(|body: axum::body::Body| async move { body }));
    tokio::spawn(server.serving(mirror).run(Stop::new(), Ready::channel().0));
    let to = TransportTls {
        roots: Roots::File(ca.file()),
        server_name: Some("localhost".into()),
        certificate: None,
    };
    let to = Arc::new(Transport::new(Protocol::Http1, Some(&to)).unwrap());
    let options = ProxyOptions { tls: Some(Arc::new(Tls::load(&tls).unwrap())), ..options() };
    let begin = move |_: &dozen_dataplane::Incoming<'_>, _: &mut dozen_dataplane::Outgoing<'_>| {
        Verdict::Forward(Forward { transport: Some(to.clone()), ..Forward::new(service.clone(), 1, 1) })
    };
    let world = World::build(options, begin, |_, _| {}).await;
    let length = 8_000_000;
    let stream = connect(&world, &ca, None, "localhost", &[]).await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = tokio::spawn(async move {
        let head =
            format!("PUT / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut write, head.as_bytes()).await.unwrap();
        for at in 0..length / 1000 {
            let piece = vec![u8::try_from(at % 251).unwrap(); 1000];
            tokio::io::AsyncWriteExt::write_all(&mut write, &piece).await.unwrap();
        }
        tokio::io::AsyncWriteExt::flush(&mut write).await.unwrap();
        write
    });
    let mut all = Vec::new();
    tokio::time::timeout(SOON, tokio::io::AsyncReadExt::read_to_end(&mut read, &mut all))
        .await
        .unwrap()
        .unwrap();
    let body = all.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    // The mirror streams, so its answer is in chunks: their frames come on top.
    assert!(all.len() - body >= length, "{}", all.len());
    sending.await.unwrap();
    world.end().await;
}
