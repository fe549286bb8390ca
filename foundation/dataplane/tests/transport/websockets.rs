//! WebSockets through the proxy: agreed on by both sides, or not at all.

use std::time::Duration;

use dozen_dataplane::{Failure, ProxyOptions, Verdict};

use crate::wire::{echo, service};
use crate::world::{World, options, upstream};

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
const AGREED: &str = "HTTP/1.1 101 Whatever\r\nupgrade: websocket\r\nconnection: upgrade\r\nserver: x\r\n\
                      sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A service that agrees, sends a greeting along, and then sends back whatever it is sent.
async fn chat() -> std::net::SocketAddr {
    service(|mut wire| async move {
        let Some(head) = wire.head().await else { return };
        if !head.contains("connection: upgrade\r\nupgrade: websocket\r\n") {
            wire.send("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n").await;
            return;
        }
        wire.send(format!("{AGREED}hello")).await;
        let (mut read, mut write) = tokio::io::split(wire.stream);
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await
}

async fn world(idle: Duration) -> World {
    World::before(chat().await, move |forward| forward.websocket = Some(idle)).await
}

#[tokio::test]
async fn bytes_pass_both_ways_until_one_side_ends_and_are_counted() {
    let mut world = world(Duration::from_secs(60)).await;
    let mut wire = world.wire().await;
    wire.send(UPGRADE).await;
    let head = wire.head().await.unwrap();
    assert!(head.starts_with("http/1.1 101 switching protocols\r\n"), "{head}");
    assert!(head.contains("connection: upgrade\r\nupgrade: websocket\r\n"), "{head}");
    assert!(head.contains("sec-websocket-accept") && !head.contains("server"), "{head}");
    assert_eq!(wire.bytes(5).await, b"hello");
    for message in ["one", "GET / HTTP/1.1\r\nhost: a\r\n\r\n", &"long ".repeat(50_000)] {
        wire.send(message).await;
        assert_eq!(wire.bytes(message.len()).await, message.as_bytes());
    }
    drop(wire);
    let end = world.ended().await;
    let bytes = 3 + 27 + 250_000;
    assert_eq!((end.status, end.failure, end.bytes_in, end.bytes_out), (101, None, bytes, bytes + 5));
    world.end().await;
}

#[tokio::test]
async fn a_silent_websocket_is_closed_and_so_is_every_one_at_the_end_of_a_stop() {
    let mut world = world(Duration::from_millis(100)).await;
    let mut wire = world.wire().await;
    wire.send(UPGRADE).await;
    wire.head().await.unwrap();
    assert_eq!(wire.rest().await, b"hello");
    assert_eq!(world.ended().await.failure, Some(Failure::Idle));
    world.end().await;

    let mut world = self::world(Duration::from_secs(60)).await;
    let mut wire = world.wire().await;
    wire.send(UPGRADE).await;
    wire.head().await.unwrap();
    assert_eq!(wire.bytes(5).await, b"hello");
    world.stop.soft.cancel();
    wire.send("still").await;
    assert_eq!(wire.bytes(5).await, b"still");
    world.stop.hard.cancel();
    assert_eq!(wire.rest().await, b"");
    let end = world.ended().await;
    assert_eq!((end.status, end.failure, end.bytes_out), (101, Some(Failure::Stopped), 10));
    world.end().await;
}

#[tokio::test]
async fn nothing_is_a_tunnel_that_was_not_agreed_on() {
    // The handler does not allow it.
    let forbidding = World::before(chat().await, |_| {}).await;
    assert_eq!(forbidding.ask(UPGRADE).await.status, 501);
    // What is no offer of a WebSocket is passed on as the request that it also is.
    for offer in
        ["connection: upgrade\r\nupgrade: h2c\r\n", "upgrade: websocket\r\n", "connection: upgrade\r\n"]
    {
        let answer = forbidding.ask(&format!("GET / HTTP/1.1\r\nhost: a\r\n{offer}\r\n")).await;
        assert_eq!(answer.status, 426, "{offer}");
    }
    forbidding.end().await;
    // The service does not agree: a request hidden behind the offer is a request, and is read as one.
    let world =
        World::before(echo().await, |forward| forward.websocket = Some(Duration::from_secs(60))).await;
    let mut wire = world.wire().await;
    wire.send(format!("{UPGRADE}GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    let first = wire.answer(false).await;
    assert!(first.body.contains("upgrade: websocket\r\n"), "{}", first.body);
    let second = wire.answer(false).await;
    assert!(second.body.starts_with("get /hidden http/1.1\r\n"), "{}", second.body);
    // It cannot come with a body, or with another method.
    let post = UPGRADE.replace("GET", "POST");
    assert_eq!(world.ask(&post).await.status, 501);
    let body = UPGRADE.replace("\r\n\r\n", "\r\ncontent-length: 3\r\n\r\nabc");
    assert_eq!(world.ask(&body).await.status, 501);
    world.end().await;
    // A service that changes the protocol without being asked, or to another one, is no service of HTTP.
    for (request, answer) in [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", AGREED),
        (UPGRADE, "HTTP/1.1 101 Yes\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n"),
        (UPGRADE, "HTTP/1.1 101 Yes\r\nupgrade: websocket\r\n\r\n"),
    ] {
        let eager = service(move |mut wire| async move {
            wire.head().await;
            wire.send(answer).await;
            wire.rest().await;
        });
        let world =
            World::before(eager.await, |forward| forward.websocket = Some(Duration::from_secs(60))).await;
        assert_eq!(world.ask(request).await.status, 502, "{request} {answer}");
        world.end().await;
    }
}

#[tokio::test]
async fn a_handler_sees_the_offer() {
    let upstream = upstream(chat().await);
    let begin = move |request: &dozen_dataplane::Incoming<'_>, _: &mut dozen_dataplane::Outgoing<'_>| {
        assert!(request.head.websocket);
        let mut forward = dozen_dataplane::Forward::new(upstream.clone(), 1, 1);
        forward.websocket = Some(Duration::from_secs(60));
        // What bounds an answer does not bound a conversation.
        forward.total = Some(Duration::from_millis(100));
        Verdict::Forward(forward)
    };
    let options = ProxyOptions { stall_timeout: Duration::from_millis(100), ..options() };
    let world = World::build(options, begin, |_, _| {}).await;
    let mut wire = world.wire().await;
    wire.send(UPGRADE).await;
    wire.head().await.unwrap();
    assert_eq!(wire.bytes(5).await, b"hello");
    tokio::time::sleep(Duration::from_millis(300)).await;
    wire.send("later").await;
    assert_eq!(wire.bytes(5).await, b"later");
    drop(wire);
    world.end().await;
}
