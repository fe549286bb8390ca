//! Endpoints that were looked up from a name: connected to by address, and called by their name.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use dozen_core::{Endpoint, EndpointSet, Ids, SystemClock};
use dozen_dataplane::{
    Caller, Client, Error, Forward, Limits, Protocol, Roots, Server, ServicePolicy, Tls, TlsOptions,
    Transport, TransportTls, Upstreams, Verdict,
};
use dozen_lifecycle::{Ready, Stop};
use tokio::sync::watch;

use crate::world::{Ca, SOON, World, get, text};

/// Answers with the host that it was asked for, and a location at its own address.
async fn telling(tls: Option<Arc<Tls>>) -> SocketAddr {
    let limits = Limits { tls, ..Limits::default() };
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), limits).unwrap();
    let address = server.local_addr();
    let router = Router::new().fallback(move |request: axum::extract::Request| async move {
        let asked = request.uri().authority().map(ToString::to_string);
        let named = request.headers().get("host").map(|host| host.to_str().unwrap().to_owned());
        let location = format!("http://shop.test:{}/elsewhere", address.port());
        ([("location", location)], named.or(asked).unwrap_or_default())
    });
    tokio::spawn(server.serving(router).run(Stop::new(), Ready::channel().0));
    address
}

/// The service `shop` at this address of `host`.
fn upstreams(address: SocketAddr, host: &str, transport: Option<Arc<Transport>>) -> Arc<Upstreams> {
    let host = Some(format!("{host}:{}", address.port()));
    let endpoints = vec![Endpoint { host, ..Endpoint::at(address.to_string()) }];
    let receiver = watch::channel(Arc::new(EndpointSet { service: "shop".into(), version: 1, endpoints })).1;
    let resolve = Arc::new(move |_: &str| Some(receiver.clone()));
    let upstreams = Arc::new(Upstreams::new(resolve, ServicePolicy::default()));
    upstreams.speak(transport.into_iter().map(|one| ("shop".to_owned(), one)).collect::<BTreeMap<_, _>>());
    upstreams
}

async fn called(upstreams: Arc<Upstreams>) -> Result<String, dozen_dataplane::CallError> {
    let caller = Caller::new(upstreams, Client::new(), Ids::new(Arc::new(SystemClock), 7));
    Ok(text(caller.send("shop", get("/"), SOON).await?.into_body()).await.unwrap())
}

#[tokio::test]
async fn its_certificate_its_host_and_its_locations_are_about_the_name() {
    let ca = Ca::new();
    let certificates = vec![ca.issue("shop", &["shop.test"])];
    let tls = Tls::load(&TlsOptions { certificates, ..TlsOptions::default() }).unwrap();
    let (secure, plain) = (telling(Some(Arc::new(tls))).await, telling(None).await);
    let over = |protocol, is_tls: bool| {
        let tls = TransportTls { roots: Roots::File(ca.file()), ..TransportTls::default() };
        Some(Arc::new(Transport::new(protocol, is_tls.then_some(&tls)).unwrap()))
    };
    for (address, transport) in [
        (plain, None),
        (plain, over(Protocol::Http2, false)),
        (secure, over(Protocol::Http1, true)),
        (secure, over(Protocol::Http2, true)),
    ] {
        let known = upstreams(address, "shop.test", transport.clone());
        // Nobody can look `shop.test` up, so it is the address that is connected to.
        assert_eq!(called(known.clone()).await.unwrap(), format!("shop.test:{}", address.port()));
        let upstream = known.get("shop").unwrap();
        let world = World::start(move |_, _| {
            let mut forward = Forward::new(upstream.clone(), 1, 7);
            forward.transport = transport.clone();
            Verdict::Forward(forward)
        });
        let world = world.await;
        let answer = world.ask("GET / HTTP/1.1\r\nhost: client.test\r\n\r\n").await;
        assert_eq!((answer.status, &*answer.body), (200, "client.test"));
        assert_eq!(answer.header("location"), Some("/elsewhere"));
        world.end().await;
    }
    let other = upstreams(secure, "other.test", over(Protocol::Http1, true));
    let refused = called(other).await.unwrap_err();
    let dozen_dataplane::CallError::Failed { source: Error::Connect { address, .. }, .. } = refused else {
        panic!("{refused}")
    };
    assert_eq!(address, format!("other.test:{0} (127.0.0.1:{0})", secure.port()));
}
