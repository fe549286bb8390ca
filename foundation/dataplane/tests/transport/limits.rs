//! What a client of HTTP/2 can do to harm, in frames made by hand.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dozen_dataplane::{Body, Failure, Http2Limits, ProxyOptions, Reply, Serving, Verdict};
use http::Response;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, RST_STREAM, frame, hello, next,
};
use crate::wire::Wire;
use crate::world::{Answering, World, get, options, said};

/// Reads until the proxy says that it has had enough, and closes.
async fn is_sent_away(wire: &mut Wire<TcpStream>) -> bool {
    let mut told = false;
    while let Some((kind, _, _)) = next(wire).await {
        told |= kind == GOAWAY;
    }
    told
}

async fn replying(options: ProxyOptions) -> World {
    World::build(options, |_, _| Verdict::Reply(Reply::empty(204), 1), |_, _| {}).await
}

#[tokio::test]
async fn streams_that_are_opened_and_reset_at_once_end_the_connection() {
    let world = replying(options()).await;
    let mut wire = world.wire().await;
    let mut flood = hello();
    for number in 0..2000 {
        flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, GET));
        flood.extend(frame(RST_STREAM, 0, 2 * number + 1, &8u32.to_be_bytes()));
    }
    let _ = wire.stream.write_all(&flood).await;
    assert!(is_sent_away(&mut wire).await);
    world.end().await;
}

#[tokio::test]
async fn a_head_that_goes_on_and_on_ends_the_connection() {
    let world = replying(options()).await;
    let mut wire = world.wire().await;
    wire.send([hello(), frame(HEADERS, END_STREAM, 1, GET)].concat()).await;
    let piece = frame(CONTINUATION, 0, 1, &[&[0x40, 1, b'x', 125][..], &[b'y'; 125]].concat());
    let mut sent = 0;
    // The proxy hangs up long before it has taken all that it is offered.
    while sent < 64 * 1024 * 1024 && wire.stream.write_all(&piece.repeat(64)).await.is_ok() {
        sent += 64 * piece.len();
    }
    assert!(sent < 64 * 1024 * 1024, "it took {sent} bytes");
    world.end().await;
}

#[tokio::test]
async fn more_streams_than_allowed_wait_or_are_refused() {
    let http2 = Http2Limits { streams_max: 3, ..Http2Limits::default() };
    let (entered, go) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
    let slow = Arc::new(Answering({
        let (entered, go) = (entered.clone(), go.clone());
        move |_| {
            let (entered, go) = (entered.clone(), go.clone());
            async move {
                entered.add_permits(1);
                go.acquire().await.unwrap().forget();
                Response::new("done".into())
            }
        }
    }));
    let begin = move |_: &dozen_dataplane::Incoming<'_>, _: &mut dozen_dataplane::Outgoing<'_>| {
        Verdict::Serve(Serving { service: slow.clone(), around: None, body_max: 0, total: None, ticket: 1 })
    };
    let world = World::build(ProxyOptions { http2, ..options() }, begin, |_, _| {}).await;
    let mut wire = world.wire().await;
    let open = |number: u32| frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, GET);
    wire.send([hello(), open(0), open(1), open(2), open(3)].concat()).await;
    entered.acquire_many(3).await.unwrap().forget();
    loop {
        match next(&mut wire).await.expect("a frame") {
            (RST_STREAM, stream, reason) => {
                // REFUSED_STREAM: the client may send it again.
                break assert_eq!((stream, &*reason), (7, &7u32.to_be_bytes()[..]));
            }
            (kind, ..) => assert_ne!(kind, GOAWAY),
        }
    }
    go.add_permits(3);
    drop(wire);
    world.end().await;
}

#[tokio::test]
async fn a_header_of_a_connection_ends_its_stream_and_too_large_a_head_is_refused() {
    let world = replying(options()).await;
    let mut sender = world.http2().await;
    let large = http::Request::get("http://a/").header("x", "y".repeat(30_000)).body(Body::empty()).unwrap();
    assert_eq!(said(&mut sender, large).await.status, 431);
    assert_eq!(said(&mut sender, get("http://a/")).await.status, 204);
    let mut wire = world.wire().await;
    let bad = [GET, &[0x40, 10], b"connection", &[5], b"close"].concat();
    wire.send([hello(), frame(HEADERS, END_STREAM | END_HEADERS, 1, &bad)].concat()).await;
    loop {
        match next(&mut wire).await.expect("a frame") {
            (RST_STREAM, stream, _) => break assert_eq!(stream, 1),
            (kind, stream, _) => assert!(kind != HEADERS || stream != 1, "it was answered"),
        }
    }
    drop((sender, wire));
    world.end().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_loses_its_stream_and_one_that_asks_nothing_its_connection() {
    let quick = Duration::from_millis(300);
    let options =
        ProxyOptions { stall_timeout: quick, idle_timeout: quick, header_timeout: quick, ..options() };
    let full = Arc::new(Notify::new());
    let endless = Arc::new(Answering({
        let full = full.clone();
        move |_| {
            let full = full.clone();
            async move {
                let (out, body) = Body::channel(1);
                tokio::spawn(async move {
                    while out.send(Ok(Bytes::from(vec![0; 16384]))).await.is_ok() {}
                    full.notify_one();
                });
                Response::new(body)
            }
        }
    }));
    let begin = move |_: &dozen_dataplane::Incoming<'_>, _: &mut dozen_dataplane::Outgoing<'_>| {
        Verdict::Serve(Serving {
            service: endless.clone(),
            around: None,
            body_max: 0,
            total: None,
            ticket: 1,
        })
    };
    let mut world = World::build(options, begin, |_, _| {}).await;
    let mut sender = world.http2().await;
    let held = sender.send_request(get("http://a/")).await.unwrap();
    // Nobody reads `held`, so its window fills, and the body's maker is let go.
    full.notified().await;
    assert_eq!(world.ended().await.failure, Some(Failure::ClientGone));
    drop(held);
    let mut silent = world.wire().await;
    silent.send(hello()).await;
    assert!(is_sent_away(&mut silent).await);
    drop(sender);
    world.end().await;
}
