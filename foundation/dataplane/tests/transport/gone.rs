//! Connections to endpoints that have left the set.

use std::net::SocketAddr;
use std::sync::Arc;

use dozen_core::{Endpoint, EndpointSet};
use dozen_dataplane::{
    Forward, Protocol, Resolve, ServicePolicy, Transport, TransportTls, Upstreams, Verdict,
};
use http_body_util::BodyExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::frames::{DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, OK, SETTINGS, frame, next};
use crate::wire::{Wire, service};
use crate::world::{SOON, World, get, said};

/// A service whose instances may be others at any time.
pub(crate) struct Moving(watch::Sender<Arc<EndpointSet>>);

impl Moving {
    pub(crate) fn at(addresses: &[SocketAddr]) -> Self {
        Self(watch::Sender::new(Arc::new(set(addresses))))
    }

    pub(crate) fn moves(&self, addresses: &[SocketAddr]) {
        self.0.send_replace(Arc::new(set(addresses)));
    }

    fn resolve(&self) -> Resolve {
        let receiver = self.0.subscribe();
        Arc::new(move |_: &str| Some(receiver.clone()))
    }

    /// A proxy that sends everything there.
    pub(crate) async fn world(&self, protocol: Protocol) -> World {
        let upstreams = Upstreams::new(self.resolve(), ServicePolicy::default());
        let upstream = upstreams.get("service").unwrap();
        let transport = Arc::new(Transport::new(protocol, None::<&TransportTls>).unwrap());
        World::start(move |_, _| {
            let mut forward = Forward::new(upstream.clone(), 1, 7);
            forward.transport = Some(transport.clone());
            Verdict::Forward(forward)
        })
        .await
    }
}

fn set(addresses: &[SocketAddr]) -> EndpointSet {
    let endpoints = addresses.iter().map(|address| Endpoint::at(address.to_string())).collect();
    EndpointSet { service: "service".into(), version: 1, endpoints }
}

/// An endpoint of HTTP/2 that is spoken for by hand: a connection as soon as one was opened, its hello exchanged.
struct ByHand {
    address: SocketAddr,
    opened: mpsc::Receiver<Wire<TcpStream>>,
}

impl ByHand {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, opened) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut wire = Wire::new(stream);
                wire.bytes(24).await;
                wire.send([frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, 1, 0, &[])].concat()).await;
                let _ = sender.send(wire).await;
            }
        });
        Self { address, opened }
    }

    async fn connection(&mut self) -> Wire<TcpStream> {
        tokio::time::timeout(SOON, self.opened.recv()).await.expect("a connection").unwrap()
    }
}

/// The stream of the next request.
async fn request(wire: &mut Wire<TcpStream>) -> u32 {
    loop {
        if let (HEADERS, stream, _) = next(wire).await.expect("a frame") {
            return stream;
        }
    }
}

/// Reads up to the end; whether it was told before.
async fn is_left(wire: &mut Wire<TcpStream>) -> bool {
    let mut is_told = false;
    while let Some((kind, _, reason)) = next(wire).await {
        assert_ne!(kind, HEADERS, "another request came");
        is_told |= kind == GOAWAY && reason[4..8] == [0; 4];
    }
    is_told
}

#[tokio::test]
async fn a_connection_of_http2_to_a_gone_endpoint_takes_no_stream_ends_those_it_has_and_closes() {
    let (mut old, new) = (ByHand::start().await, ByHand::start().await);
    let service = Moving::at(&[old.address]);
    let world = service.world(Protocol::Http2).await;
    let mut sender = world.http2().await;
    let asking = sender.send_request(get("http://a/one"));
    let serving = async {
        let mut wire = old.connection().await;
        let stream = request(&mut wire).await;
        wire.send([frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, 0, stream, b"half")].concat()).await;
        (wire, stream)
    };
    let (answer, (mut wire, stream)) = tokio::join!(asking, serving);
    let mut body = answer.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");

    service.moves(&[new.address]);
    let mut new = new;
    let (answer, _wire) = tokio::join!(said(&mut sender, get("http://a/two")), async {
        let mut wire = new.connection().await;
        let stream = request(&mut wire).await;
        wire.send(frame(HEADERS, END_STREAM | END_HEADERS, stream, OK)).await;
        wire
    });
    assert_eq!(answer.status, 200);

    wire.send(frame(DATA, END_STREAM, stream, b" and half")).await;
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), " and half");
    assert!(body.frame().await.is_none());
    assert!(is_left(&mut wire).await, "it closes, and says so");
    drop((sender, body));
    world.end().await;
}

#[tokio::test]
async fn an_idle_connection_to_a_gone_endpoint_is_closed_at_once_in_both_versions() {
    let mut old = ByHand::start().await;
    let moving = Moving::at(&[old.address]);
    let world = moving.world(Protocol::Http2).await;
    let (answer, mut wire) = tokio::join!(world.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), async {
        let mut wire = old.connection().await;
        let stream = request(&mut wire).await;
        wire.send(frame(HEADERS, END_STREAM | END_HEADERS, stream, OK)).await;
        wire
    });
    assert_eq!(answer.status, 200);
    moving.moves(&["127.0.0.1:1".parse().unwrap()]);
    // Somebody has to look at the set.
    assert_eq!(world.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.status, 502);
    assert!(is_left(&mut wire).await);
    world.end().await;

    let (ended, mut endings) = mpsc::channel(8);
    let old = service(move |mut wire| {
        let ended = ended.clone();
        async move {
            wire.head().await;
            wire.send("HTTP/1.1 204 No Content\r\n\r\n").await;
            wire.rest().await;
            let _ = ended.send(()).await;
        }
    });
    let moving = Moving::at(&[old.await]);
    let world = moving.world(Protocol::Http1).await;
    assert_eq!(world.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.status, 204);
    moving.moves(&["127.0.0.1:1".parse().unwrap()]);
    assert_eq!(world.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.status, 502);
    tokio::time::timeout(SOON, endings.recv()).await.expect("the end of the connection").unwrap();
    world.end().await;
}
