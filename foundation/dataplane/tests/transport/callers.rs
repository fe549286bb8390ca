//! Services asked by name, and connections of HTTP/2 that many share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use dozen_core::{Endpoint, EndpointSet, Ids, SystemClock};
use dozen_dataplane::resilience::{Cause, RetryPolicy};
use dozen_dataplane::{
    Body, CallError, Caller, Client, Error, Limits, Place, Protocol, Roots, Server, ServicePolicy, Tls,
    TlsOptions, Transport, TransportTls, Unavailable, Upstreams,
};
use dozen_lifecycle::{Ready, Stop};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::world::{Ca, SOON, World, get, said, text, upstream};

/// The service `orders` at these addresses, called by `policy` over `transport`.
fn caller(addresses: &[SocketAddr], policy: ServicePolicy, transport: Option<Arc<Transport>>) -> Caller {
    let endpoints = addresses.iter().map(|address| Endpoint::at(address.to_string())).collect();
    let receiver =
        watch::channel(Arc::new(EndpointSet { service: "orders".into(), version: 1, endpoints })).1;
    let resolve = Arc::new(move |name: &str| (name == "orders").then(|| receiver.clone()));
    let upstreams = Arc::new(Upstreams::new(resolve, policy));
    upstreams.speak(transport.into_iter().map(|one| ("orders".to_owned(), one)).collect::<BTreeMap<_, _>>());
    Caller::new(upstreams, Client::new(), Ids::new(Arc::new(SystemClock), 7))
}

fn http2() -> Arc<Transport> {
    Arc::new(Transport::new(Protocol::Http2, None).unwrap())
}

async fn serve(limits: Limits, router: Router) -> SocketAddr {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), limits).unwrap();
    let address = server.local_addr();
    tokio::spawn(server.serving(router).run(Stop::new(), Ready::channel().0));
    address
}

async fn asked(caller: &Caller) -> Result<(u16, String), CallError> {
    let (parts, body) = caller.send("orders", get("/"), SOON).await?.into_parts();
    Ok((parts.status.as_u16(), text(body).await.unwrap()))
}

#[tokio::test]
async fn a_service_is_asked_in_its_own_protocol_and_tls() {
    let ca = Ca::new();
    let tls = TlsOptions { certificates: vec![ca.issue("one", &["orders.test"])], ..TlsOptions::default() };
    let limits = Limits { tls: Some(Arc::new(Tls::load(&tls).unwrap())), ..Limits::default() };
    let router = || Router::new().fallback(any(|| std::future::ready("seen")));
    let (secure, plain) = (serve(limits, router()).await, serve(Limits::default(), router()).await);
    let over = |protocol| {
        let (roots, server_name) = (Roots::File(ca.file()), Some("orders.test".to_owned()));
        let tls = TransportTls { roots, server_name, certificate: None };
        Some(Arc::new(Transport::new(protocol, Some(&tls)).unwrap()))
    };
    for (address, transport) in [
        (plain, None),
        (plain, Some(http2())),
        (secure, over(Protocol::Http1)),
        (secure, over(Protocol::Http2)),
    ] {
        let caller = caller(&[address], ServicePolicy::default(), transport);
        for _ in 0..3 {
            assert_eq!(asked(&caller).await.unwrap(), (200, "seen".into()));
        }
    }
    // What is spoken to in clear where TLS is wanted is not reached, and the other way round.
    assert!(asked(&caller(&[secure], ServicePolicy::default(), None)).await.is_err());
    let wrong = asked(&caller(&[plain], ServicePolicy::default(), over(Protocol::Http1))).await.unwrap_err();
    assert!(wrong.is_unsent(), "{wrong:?}");
}

#[tokio::test]
async fn what_the_policy_of_a_service_says_holds_for_a_caller() {
    let answers = |status: u16| {
        Router::new().fallback(any(move || std::future::ready(http::StatusCode::from_u16(status).unwrap())))
    };
    let (broken, fine) =
        (serve(Limits::default(), answers(503)).await, serve(Limits::default(), answers(200)).await);
    let retry = RetryPolicy { backoff: Duration::ZERO, ..RetryPolicy::default() };
    let again = caller(&[broken, fine], ServicePolicy { retry, ..ServicePolicy::default() }, None);
    for _ in 0..6 {
        assert_eq!(asked(&again).await.unwrap().0, 200);
    }
    let post = Request::post("/").body(Body::from("x")).unwrap();
    let once = caller(&[broken], ServicePolicy::default(), None);
    assert_eq!(once.send("orders", post, SOON).await.unwrap().status(), 503, "any answer is one");

    // A connection that cannot be opened is tried elsewhere, whatever the request is.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let elsewhere = caller(&[nobody, fine], ServicePolicy::default(), None);
    for _ in 0..4 {
        let (sender, body) = Body::channel(1);
        sender.send(Ok("a stream".into())).await.unwrap();
        drop(sender);
        let post = Request::post("/").body(body).unwrap();
        assert_eq!(elsewhere.send("orders", post, SOON).await.unwrap().status(), 200);
    }
    let (unknown, place) = (Request::get("/"), Place::service("nobody", "/"));
    let unknown = elsewhere.ask(&place, unknown.body(Body::empty()).unwrap(), SOON).await.unwrap_err();
    assert!(matches!(unknown, CallError::Unknown { .. }), "{unknown:?}");
}

#[tokio::test]
async fn a_request_is_in_flight_until_its_answer_has_ended_and_what_nobody_waits_for_leaves_room() {
    let router = Router::new().fallback(any(|| {
        let (sender, body) = Body::channel(2);
        tokio::spawn(async move {
            let _ = sender.send(Ok("first ".into())).await;
            let _ = sender.send(Ok("last".into())).await;
        });
        std::future::ready(axum::body::Body::new(body))
    }));
    let address = serve(Limits::default(), router).await;
    let policy = ServicePolicy { in_flight_max: NonZeroU32::new(2), ..ServicePolicy::default() };
    let caller = caller(&[address], policy, None);
    let aside = caller.aside();
    let short = Duration::from_millis(1);
    let full = |error| matches!(error, CallError::Unavailable { source: Unavailable::Full, .. });
    let first = aside.send("orders", get("/"), SOON).await.unwrap();
    assert!(full(aside.send("orders", get("/"), short).await.unwrap_err()));
    let second = caller.send("orders", get("/"), SOON).await.unwrap();
    assert!(full(caller.send("orders", get("/"), short).await.unwrap_err()));
    assert_eq!(text(first.into_body()).await.unwrap(), "first last");
    let third = caller.send("orders", get("/"), SOON).await.unwrap();
    drop((second, third));
    assert_eq!(asked(&caller).await.unwrap().1, "first last");
}

#[tokio::test]
async fn what_goes_wrong_aside_opens_no_circuit_for_others() {
    let router = Router::new().fallback(any(|| std::future::ready(http::StatusCode::SERVICE_UNAVAILABLE)));
    let address = serve(Limits::default(), router).await;
    let breaker = dozen_dataplane::resilience::BreakerPolicy { requests_min: 3, ..Default::default() };
    let policy = ServicePolicy { breaker: Some(breaker), ..ServicePolicy::default() };
    let caller = caller(&[address], policy, None);
    for _ in 0..10 {
        assert_eq!(asked(&caller.aside()).await.unwrap().0, 503);
    }
    let mut open = false;
    for _ in 0..10 {
        open |= asked(&caller).await.is_err();
    }
    assert!(open, "those who wait open it");
    assert!(asked(&caller.aside()).await.is_err(), "and then nothing is sent aside either");
}

/// A server of HTTP/2 that allows `streams` on a connection, answers while `gate` lets it, and counts connections.
async fn framed(streams: u32, gate: Arc<Semaphore>) -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicU32::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(well(stream, streams, gate.clone()));
        }
    });
    (address, connections)
}

async fn well(stream: TcpStream, streams: u32, gate: Arc<Semaphore>) {
    let answer = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let gate = gate.clone();
        async move {
            let is_slow = request.uri().path() == "/slow";
            let body = request.into_body().collect().await.map(|whole| whole.to_bytes());
            if is_slow {
                gate.acquire().await.unwrap().forget();
            }
            body.map(|bytes| Response::new(Body::from(bytes)))
        }
    });
    let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let _ = server.max_concurrent_streams(streams).serve_connection(TokioIo::new(stream), answer).await;
}

#[tokio::test]
async fn many_first_requests_open_one_connection_and_streams_beyond_its_limit_another() {
    let gate = Arc::new(Semaphore::new(0));
    let (address, connections) = framed(100, gate.clone()).await;
    let first = caller(&[address], ServicePolicy::default(), Some(http2()));
    let all = futures::future::join_all((0..50).map(|_| asked(&first))).await;
    assert!(all.iter().all(|said| said.as_ref().is_ok_and(|(status, _)| *status == 200)));
    assert_eq!(connections.load(Ordering::SeqCst), 1);

    let (address, connections) = framed(2, gate.clone()).await;
    let narrow = caller(&[address], ServicePolicy::default(), Some(http2()));
    asked(&narrow).await.unwrap();
    let slow = || async { narrow.send("orders", get("/slow"), SOON).await.unwrap().status() };
    let all = futures::future::join_all((0..6).map(|_| slow()));
    let release = async {
        while connections.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(6);
    };
    let both = async { tokio::join!(all, release) };
    let (all, ()) = tokio::time::timeout(SOON, both).await.unwrap();
    assert_eq!((all.len(), connections.load(Ordering::SeqCst)), (6, 3));
}

#[tokio::test]
async fn who_gives_up_takes_its_own_connection_out_and_no_other() {
    let gate = Arc::new(Semaphore::new(0));
    let (address, connections) = framed(100, gate).await;
    let client = Client::new().over(Some(http2()));
    let address = address.to_string();
    let patient = {
        let (client, address) = (client.clone(), address.clone());
        tokio::spawn(async move { client.send(&address, get("/slow"), Duration::from_millis(300)).await })
    };
    let hasty = client.send(&address, get("/slow"), Duration::from_millis(50)).await;
    assert!(matches!(hasty, Err(Error::TimedOut { .. })), "{hasty:?}");
    client.send(&address, get("/"), SOON).await.unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 2, "the one in doubt is not used again");
    assert!(patient.await.unwrap().is_err());
    client.send(&address, get("/"), SOON).await.unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 2, "the other one still is");
}

/// One frame of HTTP/2.
fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, 0], &stream.to_be_bytes(), payload].concat()
}

/// A server of HTTP/2 that is about to restart: on its first connection it answers the head of a request with `last`, as
/// frames for its stream, and takes no more; on the next it is well.
async fn restarting(last: fn(u32) -> Vec<u8>) -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicU32::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        count.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            stream.read_exact(&mut [0; 24]).await.unwrap();
            stream.write_all(&frame(4, 0, &[])).await.unwrap();
            let mut head = [0; 9];
            while stream.read_exact(&mut head).await.is_ok() {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                stream.read_exact(&mut vec![0; length]).await.unwrap();
                if head[3] == 1 {
                    let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                    stream.write_all(&last(id)).await.unwrap();
                }
            }
        });
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(well(stream, 100, Arc::new(Semaphore::new(0))));
        }
    });
    (address, connections)
}

fn goes_away(_: u32) -> Vec<u8> {
    // The last stream that it looked at is none, and nothing is wrong.
    frame(7, 0, &[0; 8])
}

fn refuses(id: u32) -> Vec<u8> {
    frame(3, id, &7_u32.to_be_bytes())
}

/// What a client of gRPC sends: a POST whose body comes in pieces.
fn call() -> Request<Body> {
    let pieces =
        ["one ", "two"].map(|piece| Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from(piece))));
    let body = Body::new(StreamBody::new(futures::stream::iter(pieces)));
    let request = Request::builder().method(Method::POST).uri("http://shop/orders.Orders/Place");
    request.header("content-type", "application/grpc").header("te", "trailers").body(body).unwrap()
}

#[tokio::test]
async fn a_call_survives_that_its_service_restarts() {
    for last in [goes_away, refuses] {
        let (address, connections) = restarting(last).await;
        let transport = http2();
        let mut world =
            World::before(address, move |forward| forward.transport = Some(transport.clone())).await;
        let mut sender = world.http2().await;
        let answer = said(&mut sender, call()).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "one two"));
        assert_eq!(world.ended().await.failure, None);
        assert_eq!(connections.load(Ordering::SeqCst), 2);
        drop(sender);
        world.end().await;

        let (address, _) = restarting(last).await;
        let caller = caller(&[address], ServicePolicy::default(), Some(http2()));
        let answer = caller.send("orders", call(), SOON).await.unwrap();
        assert_eq!(text(answer.into_body()).await.unwrap(), "one two");
    }
}

#[tokio::test]
async fn a_service_that_refuses_for_ever_is_asked_a_few_times_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let refused = Arc::new(AtomicU32::new(0));
    let count = refused.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(&mut stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    count.fetch_add(1, Ordering::SeqCst);
                    respond.send_reset(h2::Reason::REFUSED_STREAM);
                }
            });
        }
    });
    let upstream = upstream(address);
    assert!(upstream.policy().retry.on == [Cause::Connect]);
    let transport = http2();
    let world = World::before(address, move |forward| forward.transport = Some(transport.clone())).await;
    let mut sender = world.http2().await;
    let answer = said(&mut sender, get("http://shop/")).await;
    assert_eq!(answer.status, 502);
    assert_eq!(refused.load(Ordering::SeqCst), upstream.policy().retry.attempts_max);
    drop(sender);
    world.end().await;
}
