//! What follows a body.

use crate::http2::server;
use crate::wire::service;
use crate::world::{World, get, said};

/// Answers in chunks with the head, the body and the trailers that it was sent, and trailers of its own.
async fn trailing() -> std::net::SocketAddr {
    service(|mut wire| async move {
        while let Some(head) = wire.head().await {
            let body = wire.body(&head).await;
            let said = format!("{head}{body}");
            wire.send(format!(
                "HTTP/1.1 200 OK\r\ntrailer: X-Sum, Content-Length, server\r\ntransfer-encoding: chunked\r\n\r\n\
                 {:x}\r\n{said}\r\n0\r\nx-sum: 9\r\nx-other: 1\r\ncontent-length: 1\r\nserver: me\r\n\r\n",
                said.len()
            ))
            .await;
        }
    })
    .await
}

const CHUNKS: &str = "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\
                      X-Check: 7\r\nx-other: 1\r\nauthorization: me\r\nx-stripped: 1\r\n\r\n";

#[tokio::test]
async fn announced_trailers_pass_in_both_directions_and_others_are_dropped() {
    let world = World::before(trailing().await, |_| {}).await;
    let mut wire = world.wire().await;
    for te in ["te: trailers\r\n", "TE: deflate, trailers;q=1\r\n"] {
        wire.send(format!(
            "POST / HTTP/1.1\r\nhost: a\r\n{te}trailer: X-Check, Authorization\r\ntrailer: x-stripped\r\n{CHUNKS}"
        ))
        .await;
        let answer = wire.answer(false).await;
        assert_eq!(answer.header("trailer"), Some("x-sum"), "{}", answer.head);
        assert!(answer.body.contains("trailer: x-check\r\n"), "{}", answer.body);
        assert!(answer.body.contains("te: trailers\r\nconnection: te\r\n"), "{}", answer.body);
        assert!(answer.body.ends_with("\r\n\r\nabc[X-Check: 7][x-sum: 9]"), "{}", answer.body);
    }
    // Who has not announced any sends none, and who does not ask for any gets none.
    wire.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{CHUNKS}")).await;
    let answer = wire.answer(false).await;
    assert_eq!(answer.header("trailer"), None, "{}", answer.head);
    assert!(!answer.body.contains("te: trailers") && answer.body.ends_with("\r\n\r\nabc"), "{}", answer.body);
    world.end().await;
}

#[tokio::test]
async fn trailers_pass_between_versions() {
    let world = World::before(trailing().await, |_| {}).await;
    let mut sender = world.http2().await;
    let mut request = get("http://a/");
    request.headers_mut().insert("te", "trailers".parse().unwrap());
    let answer = said(&mut sender, request).await;
    let trailers = answer.trailers.unwrap();
    assert_eq!((trailers.len(), trailers.get("x-sum").unwrap().to_str().unwrap()), (1, "9"));
    drop(sender);
    world.end().await;

    // A client of HTTP/1.1, a service of HTTP/2.
    let router = axum::Router::new().fallback(axum::routing::any(|body: axum::body::Body| async move {
        let whole = http_body_util::BodyExt::collect(body).await.unwrap();
        let mut back = whole.trailers().cloned().unwrap_or_default();
        back.insert("x-back", "1".parse().unwrap());
        let frames = [http_body::Frame::data(whole.to_bytes()), http_body::Frame::trailers(back)];
        let frames = futures::stream::iter(frames.map(Ok::<_, std::io::Error>));
        axum::body::Body::new(http_body_util::StreamBody::new(frames))
    }));
    let transport = dozen_dataplane::Transport::new(dozen_dataplane::Protocol::Http2, None).unwrap();
    let transport = std::sync::Arc::new(transport);
    let world =
        World::before(server(router).await, move |forward| forward.transport = Some(transport.clone())).await;
    let mut wire = world.wire().await;
    wire.send(format!("POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\ntrailer: x-check\r\n{CHUNKS}")).await;
    let answer = wire.answer(false).await;
    assert!(answer.body.starts_with("abc["), "{}", answer.body);
    assert!(answer.body.contains("[x-check: 7]") && answer.body.contains("[x-back: 1]"), "{}", answer.body);
    world.end().await;
}
