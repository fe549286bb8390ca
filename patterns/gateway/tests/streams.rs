//! Bodies, broken services, and stopping.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use dozen_gateway::RouteOptions;
use tokio::sync::Semaphore;
use world::{Registry, SOON, World, always, echo, nowhere, options, service};

async fn world_of(address: std::net::SocketAddr) -> World {
    world_with(address, |_| {}).await
}

async fn world_with(address: std::net::SocketAddr, change: impl FnOnce(&mut RouteOptions)) -> World {
    let registry = Registry::default();
    registry.set("service", &[address]);
    let mut route = RouteOptions::new("/{*rest}", "service");
    change(&mut route);
    World::start(options(vec![route]), registry).await
}

#[tokio::test]
async fn chunks_go_up_and_come_down() {
    let chunked = service(|mut wire| async move {
        while let Some(head) = wire.head().await {
            assert!(head.contains("transfer-encoding: chunked"), "{head}");
            let body = wire.body(&head).await;
            let text = String::from_utf8(body).unwrap();
            wire.send(&format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n0\r\n\r\n",
                text.len()
            ))
            .await;
        }
    });
    let world = world_of(chunked.await).await;
    let mut wire = world.connect().await;
    for _ in 0..2 {
        wire.send("POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n").await;
        wire.send("4\r\ndefg\r\n0\r\ntrailer: x\r\n\r\n").await;
        assert_eq!(wire.answer(false).await.text(), "abcdefg");
    }
    world.end().await;
}

#[tokio::test]
async fn large_bodies_stream_both_ways_at_once() {
    let mirror = service(|mut wire| async move {
        let head = wire.head().await.unwrap();
        let length: usize = world::header(&head, "content-length").unwrap().parse().unwrap();
        wire.send(&format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n")).await;
        let mut left = length;
        while left > 0 {
            let piece = wire.bytes(left.min(50_000)).await;
            left -= piece.len();
            wire.send(std::str::from_utf8(&piece).unwrap()).await;
        }
    });
    let world = world_of(mirror.await).await;
    let wire = world.connect().await;
    let (length, piece) = (12_000_000, "x".repeat(60_000));
    let (mut read, mut write) = wire.stream.into_split();
    let sending = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let head =
            format!("PUT /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        write.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..length / piece.len() {
            write.write_all(piece.as_bytes()).await.unwrap();
        }
        write
    });
    let mut all = Vec::new();
    tokio::time::timeout(SOON, tokio::io::AsyncReadExt::read_to_end(&mut read, &mut all))
        .await
        .unwrap()
        .unwrap();
    let start = all.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(all.len() - start, length);
    sending.await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_stated_or_not() {
    let world = world_with(echo("service").await, |route| route.body_max = 5).await;
    let answer = world.ask("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabcdef").await;
    assert_eq!(answer.status, 413);
    let answer = world
        .ask("POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n")
        .await;
    assert_eq!(answer.status, 413);
    let answer = world.ask("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nabcde").await;
    assert_eq!(answer.status, 200);
    world.end().await;
}

#[tokio::test]
async fn a_client_that_waits_for_continue_is_told_to() {
    let world = world_of(echo("service").await).await;
    let mut wire = world.connect().await;
    wire.send("POST /a HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n").await;
    assert_eq!(wire.answer(false).await.status, 100);
    wire.send("abc").await;
    let answer = wire.answer(false).await.text();
    assert!(answer.ends_with("abc") && !answer.contains("expect"), "{answer}");
    world.end().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let world = world_of(echo("service").await).await;
    let mut wire = world.connect().await;
    wire.send("GET /1 HTTP/1.1\r\nhost: a\r\n\r\nPOST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhiGET /3 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    for path in ["get /1 ", "post /2 ", "get /3 "] {
        let text = wire.answer(false).await.text();
        assert!(text.contains(path), "{path}: {text}");
    }
    world.end().await;
}

#[tokio::test]
async fn head_and_not_modified_have_a_length_and_no_body() {
    let world =
        world_of(always("HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\ncontent-length: 9\r\n\r\n").await).await;
    let mut wire = world.connect().await;
    for _ in 0..2 {
        wire.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let answer = wire.answer(false).await;
        assert_eq!(
            (answer.status, answer.header("content-length"), answer.header("etag")),
            (304, Some("9"), Some("\"a\""))
        );
    }
    world.registry.set("service", &[always("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n").await]);
    for _ in 0..2 {
        wire.send("HEAD /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(wire.answer(true).await.header("content-length"), Some("9"));
    }
    world.end().await;
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_becomes_chunks_and_the_client_stays() {
    let closing = service(|mut wire| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\n\r\nall of it").await;
    });
    let world = world_of(closing.await).await;
    let mut wire = world.connect().await;
    for _ in 0..2 {
        wire.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(wire.answer(false).await.text(), "all of it");
    }
    let old = world.ask("GET /a HTTP/1.0\r\n\r\n").await;
    assert_eq!((old.header("transfer-encoding"), old.text().as_str()), (None, "all of it"));
    world.end().await;
}

#[tokio::test]
async fn events_pass_one_by_one() {
    let (next, sent) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU32::new(0)));
    let events = service({
        let (next, sent) = (next.clone(), sent.clone());
        move |mut wire| {
            let (next, sent) = (next.clone(), sent.clone());
            async move {
                wire.head().await;
                wire.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n").await;
                loop {
                    next.acquire().await.unwrap().forget();
                    let number = sent.fetch_add(1, Ordering::SeqCst);
                    wire.send(&format!("9\r\ndata: {number}\n\n\r\n")).await;
                }
            }
        }
    });
    let world = world_of(events.await).await;
    let mut wire = world.connect().await;
    wire.send("GET /events HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(wire.head().await.unwrap().contains("text/event-stream"));
    for number in 0..5 {
        // The next event is not made before this one has arrived.
        next.add_permits(1);
        assert_eq!(wire.chunk().await, format!("data: {number}\n\n").as_bytes());
    }
    drop(wire);
    world.end().await;
}

#[tokio::test]
async fn a_slow_service_is_504_and_one_that_breaks_is_502() {
    let silent = service(|mut wire| async move {
        wire.head().await;
        wire.rest().await;
    });
    let world = world_with(silent.await, |route| route.timeout = Duration::from_millis(50)).await;
    assert_eq!(world.get("/a").await.status, 504);
    let breaking = service(|mut wire| async move {
        wire.head().await;
    });
    world.registry.set("service", &[breaking.await]);
    assert_eq!(world.get("/a").await.status, 502);
    let halfway = service(|mut wire| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    });
    world.registry.set("service", &[halfway.await]);
    let mut wire = world.connect().await;
    wire.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let head = wire.head().await.unwrap();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    // Too late for another status; the client sees that something is missing.
    assert_eq!(wire.rest().await, b"half");
    world.end().await;
}

#[tokio::test]
async fn ambiguous_requests_never_reach_a_service() {
    let world = world_of(echo("service").await).await;
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 1\r\n\r\nx",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\nhost: a\n\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n\r\n",
        "GET /../x HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
    ] {
        let answer = world.ask(request).await;
        assert_eq!(answer.status, 400, "{request:?} {}", answer.head);
        assert_eq!(answer.header("connection"), Some("close"), "{request:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_dead_endpoint_is_passed_over_and_taken_back_when_it_recovers() {
    let broken = Arc::new(AtomicBool::new(true));
    let asked = Arc::new(AtomicU32::new(0));
    let flaky = service({
        let (broken, asked) = (broken.clone(), asked.clone());
        move |mut wire| {
            let (broken, asked) = (broken.clone(), asked.clone());
            async move {
                while wire.head().await.is_some() {
                    asked.fetch_add(1, Ordering::SeqCst);
                    if broken.load(Ordering::SeqCst) {
                        return;
                    }
                    wire.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nflaky").await;
                }
            }
        }
    });
    let registry = Registry::default();
    // Two good ones beside: an address without a listener costs a client nothing at all.
    registry.set("service", &[flaky.await, nowhere().await, echo("steady").await, echo("steady").await]);
    let mut options = options(vec![RouteOptions::new("/{*rest}", "service")]);
    options.usual.ejection.failures = 3;
    options.usual.ejection.base = Duration::from_millis(300);
    let world = World::start(options, registry).await;
    let mut failed = 0;
    for _ in 0..60 {
        failed += u32::from(world.get("/a").await.status != 200);
    }
    assert_eq!(failed, 3, "three failures eject the broken one, and the dead one is never noticed");
    let explained =
        world.gateway.explain(&dozen_gateway::Question { method: "GET", url: "/a", ..Default::default() });
    assert_eq!(explained.endpoints.iter().filter(|endpoint| endpoint.ejected).count(), 2, "{explained:?}");
    broken.store(false, Ordering::SeqCst);
    let back = async { while world.get("/a").await.text() != "flaky" {} };
    tokio::time::timeout(SOON, back).await.expect("the endpoint is taken back");
    world.end().await;
}

#[tokio::test]
async fn sd_m6_requests_go_to_the_endpoint_with_the_fewest_in_flight() {
    let (busy, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let slow = service({
        let (busy, release) = (busy.clone(), release.clone());
        move |mut wire| {
            let (busy, release) = (busy.clone(), release.clone());
            async move {
                while wire.head().await.is_some() {
                    busy.add_permits(1);
                    release.acquire().await.unwrap().forget();
                    wire.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow").await;
                }
            }
        }
    });
    let registry = Registry::default();
    let slow = slow.await;
    registry.set("service", &[slow]);
    let world = World::start(options(vec![RouteOptions::new("/{*rest}", "service")]), registry).await;
    // Several, so that an answered request whose count is just being taken back does not make a tie.
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let mut wire = world.connect().await;
        wire.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
        busy.acquire().await.unwrap().forget();
        waiting.push(wire);
    }
    world.registry.set("service", &[slow, echo("idle").await]);
    for _ in 0..20 {
        assert!(world.get("/a").await.text().starts_with("idle"));
    }
    release.add_permits(5);
    for mut wire in waiting {
        assert_eq!(wire.answer(false).await.text(), "slow");
    }
    world.end().await;
}

#[tokio::test]
async fn a_kept_connection_that_died_is_replaced_without_the_client_noticing() {
    let twice = service(|mut wire| async move {
        // Answers once, promises to stay, and is gone at the second request.
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        wire.head().await;
    });
    let world = world_of(twice.await).await;
    let mut wire = world.connect().await;
    for _ in 0..10 {
        wire.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(wire.answer(false).await.status, 200);
    }
    // A POST may have had its effect, so it is not sent again.
    wire.send("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx").await;
    assert_eq!(wire.answer(false).await.status, 502);
    world.end().await;
}

#[tokio::test]
async fn a_drain_loses_no_request_in_flight() {
    let (entered, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let slow = service({
        let (entered, go) = (entered.clone(), go.clone());
        move |mut wire| {
            let (entered, go) = (entered.clone(), go.clone());
            async move {
                while wire.head().await.is_some() {
                    entered.add_permits(1);
                    go.acquire().await.unwrap().forget();
                    wire.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone").await;
                }
            }
        }
    });
    let world = world_of(slow.await).await;
    let mut idle = world.connect().await;
    let mut wires = Vec::new();
    for _ in 0..20 {
        let mut wire = world.connect().await;
        wire.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
        wires.push(wire);
    }
    entered.acquire_many(20).await.unwrap().forget();
    idle.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    entered.acquire().await.unwrap().forget();
    go.add_permits(1);
    // One of the 21 is answered before the drain, whichever; all others after.
    world.stop.soft.cancel();
    go.add_permits(20);
    wires.push(idle);
    for mut wire in wires {
        let answer = wire.answer(false).await;
        assert_eq!(answer.text(), "done");
    }
    world.end().await;
}

#[tokio::test]
async fn a_drain_does_not_wait_for_connections_that_ask_nothing() {
    let world = world_of(echo("service").await).await;
    let (silent, mut kept) = (world.connect().await, world.connect().await);
    kept.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(kept.answer(false).await.status, 200);
    let before = std::time::Instant::now();
    world.end().await;
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    drop((silent, kept));
}
