//! Clients that send a body, or take one, too slowly.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dozen_dataplane::framing::Refusal;
use dozen_dataplane::{
    Body, BodyRate, Failure, Forward, Protocol, ProxyOptions, Serving, Transport, Verdict,
};
use http::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::frames::{DATA, END_HEADERS, HEADERS, POST, frame, hello, next};
use crate::wire::{Wire, echo, service};
use crate::world::{Answering, SOON, World, options, text, upstream};

/// A thousand bytes a second, after a fifth of one.
fn rated(bytes_per_second: u32) -> ProxyOptions {
    let bytes_per_second_min = NonZeroU32::new(bytes_per_second).unwrap();
    let body_rate = Some(BodyRate { bytes_per_second_min, grace: Duration::from_millis(200) });
    ProxyOptions { body_rate, ..options() }
}

/// A proxy before a service.
async fn before(options: ProxyOptions, address: SocketAddr, transport: Option<Arc<Transport>>) -> World {
    let upstream = upstream(address);
    let begin = move |_: &dozen_dataplane::Incoming<'_>, _: &mut dozen_dataplane::Outgoing<'_>| {
        let mut forward = Forward::new(upstream.clone(), 1 << 20, 7);
        forward.transport = transport.clone();
        Verdict::Forward(forward)
    };
    World::build(options, begin, |_, _| {}).await
}

/// A proxy that answers by itself, as soon as it has read everything.
async fn reading(options: ProxyOptions) -> World {
    let whole = Arc::new(Answering(|request: http::Request<Body>| async move {
        match text(request.into_body()).await {
            Ok(body) => Response::new(body.len().to_string().into()),
            Err(_) => Response::builder().status(418).body(Body::empty()).unwrap(),
        }
    }));
    let begin = move |_: &dozen_dataplane::Incoming<'_>, _: &mut dozen_dataplane::Outgoing<'_>| {
        let (service, around, body_max, total, ticket) = (whole.clone(), None, 1 << 20, None, 7);
        Verdict::Serve(Serving { service, around, body_max, total, ticket })
    };
    World::build(options, begin, |_, _| {}).await
}

/// Sends a byte in each `pause`, until the other end has had enough or `count` were sent.
async fn drip(wire: &mut Wire<TcpStream>, count: usize, pause: Duration) {
    for _ in 0..count {
        if wire.stream.write_all(b"x").await.is_err() {
            return;
        }
        sleep(pause).await;
        let mut byte = [0];
        if wire.stream.try_read(&mut byte).is_ok_and(|count| count > 0) {
            return wire.read.push(byte[0]);
        }
    }
}

const HEAD: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2000\r\n\r\n";

#[tokio::test]
async fn who_sends_a_body_a_byte_at_a_time_is_told_that_it_was_too_slow() {
    let http2 = Arc::new(Transport::new(Protocol::Http2, None).unwrap());
    for transport in [None, Some(http2)] {
        let silent = service(|mut wire| async move { drop(wire.rest().await) }).await;
        let answering = match transport {
            None => silent,
            // It has to say hello.
            Some(_) => {
                crate::http2::server(axum::Router::new().fallback(|body: String| async { body })).await
            }
        };
        let mut world = before(rated(1000), answering, transport).await;
        let mut wire = world.wire().await;
        wire.send(HEAD).await;
        let began = Instant::now();
        drip(&mut wire, 1000, Duration::from_millis(20)).await;
        assert_eq!(wire.answer(false).await.status, 408);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let end = world.ended().await;
        // It is no fault of the endpoint.
        assert_eq!((end.status, end.failure), (408, Some(Failure::Request(Refusal::BodyTooSlow))));
        drop(wire);
        world.end().await;
    }
    let world = reading(rated(1000)).await;
    let mut wire = world.wire().await;
    wire.send(HEAD).await;
    drip(&mut wire, 1000, Duration::from_millis(20)).await;
    assert_eq!(wire.answer(false).await.status, 418, "whoever reads the body hears of it");
    drop(wire);
    world.end().await;
}

#[tokio::test]
async fn who_keeps_the_rate_gets_through_however_small_the_pieces() {
    for world in [before(rated(1000), echo().await, None).await, reading(rated(1000)).await] {
        let mut wire = world.wire().await;
        wire.send(HEAD).await;
        // Twice as fast as it has to be, and at last a pause that was saved up for.
        for _ in 0..40 {
            wire.send([b'x'; 40]).await;
            sleep(Duration::from_millis(20)).await;
        }
        sleep(Duration::from_millis(300)).await;
        wire.send([b'x'; 400]).await;
        assert_eq!(wire.answer(false).await.status, 200);
        drop(wire);
        world.end().await;
    }
}

#[tokio::test]
async fn a_stream_of_http2_is_as_slow_as_a_call_of_grpc_may_be_and_no_other() {
    let kind = |text: &str| {
        // `content-type`, from the static table, and a literal.
        let length = u8::try_from(text.len()).unwrap();
        [POST, &[0x0f, 0x10, length], text.as_bytes()].concat()
    };
    let mut world = before(rated(1000), echo().await, None).await;
    let mut wire = world.wire().await;
    let open = |number, kind: &[u8]| frame(HEADERS, END_HEADERS, number, kind);
    wire.send([hello(), open(1, &kind("application/grpc")), open(3, &kind("text/plain"))].concat()).await;
    let mut drops = tokio::time::interval(Duration::from_millis(20));
    let mut sent = 0;
    let answered = loop {
        tokio::select! {
            heard = next(&mut wire) => match heard.expect("a frame") {
                (HEADERS, stream, _) => break stream,
                _ => continue,
            },
            _ = drops.tick() => {
                sent += 1;
                let both = [frame(DATA, 0, 1, b"x"), frame(DATA, 0, 3, b"x")].concat();
                wire.stream.write_all(&both).await.unwrap();
            }
        }
    };
    assert_eq!(answered, 3, "the other one");
    assert!(sent < 500, "{sent}");
    assert_eq!(world.ended().await.status, 408);
    drop(wire);
    world.end().await;
}

/// Answers with a head of this type, and as much as is taken.
async fn endless(kind: &'static str) -> SocketAddr {
    service(move |mut wire| async move {
        wire.head().await;
        wire.send(format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n\r\n")).await;
        let piece = vec![b'x'; 65536];
        while wire.stream.write_all(&piece).await.is_ok() {}
    })
    .await
}

#[tokio::test]
async fn who_takes_an_answer_a_byte_at_a_time_is_cut_off_and_who_waits_for_events_is_not() {
    // What the kernel takes for the client is no merit of the client's, so the rate is one that no buffer can pay for.
    for (kind, is_cut) in [("text/plain", true), ("text/event-stream", false)] {
        let mut world = before(rated(1_000_000_000), endless(kind).await, None).await;
        let mut wire = world.wire().await;
        wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let mut byte = [0];
        wire.stream.read_exact(&mut byte).await.unwrap();
        let slowly = async {
            loop {
                wire.stream.read_exact(&mut byte).await.unwrap();
                sleep(Duration::from_millis(20)).await;
            }
        };
        let ended = tokio::select! {
            () = slowly => unreachable!(),
            ended = timeout(Duration::from_secs(2), world.ended()) => ended,
        };
        match is_cut {
            true => assert_eq!(ended.expect("the end").failure, Some(Failure::ClientGone)),
            false => assert!(ended.is_err(), "{ended:?}"),
        }
        drop(wire);
        world.end().await;
    }
}

#[tokio::test]
async fn an_answer_that_is_made_here_is_taken_as_fast_as_one_that_is_passed_on() {
    let endless = Arc::new(Answering(|_| async {
        let (out, body) = Body::channel(1);
        tokio::spawn(async move { while out.send(Ok(Bytes::from(vec![0; 16384]))).await.is_ok() {} });
        Response::new(body)
    }));
    let begin = move |_: &dozen_dataplane::Incoming<'_>, _: &mut dozen_dataplane::Outgoing<'_>| {
        let (service, around, body_max, total, ticket) = (endless.clone(), None, 0, None, 7);
        Verdict::Serve(Serving { service, around, body_max, total, ticket })
    };
    let mut world = World::build(rated(1_000_000_000), begin, |_, _| {}).await;
    let mut one = world.wire().await;
    one.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(timeout(SOON, world.ended()).await.unwrap().failure, Some(Failure::ClientGone));
    let mut two = world.http2().await;
    let held = two.send_request(crate::world::get("http://a/")).await.unwrap();
    assert_eq!(timeout(SOON, world.ended()).await.unwrap().failure, Some(Failure::ClientGone));
    drop((one, two, held));
    world.end().await;
}
