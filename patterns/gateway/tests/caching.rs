//! Answers that are kept to be used again, over real sockets, by a clock that the test moves.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dozen_core::{ManualClock, Timestamp};
use dozen_gateway::{Cached, RouteOptions};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use world::{Answer, Registry, SOON, Wire, World, header, options, service};

/// 2024-01-01T00:00:00Z.
const START: i64 = 1_704_067_200_000_000;

/// A service that answers by this script, and what it was asked.
#[derive(Clone)]
struct Origin {
    heads: Arc<Mutex<Vec<String>>>,
    /// Each answer takes one, so that a test says when it comes.
    gate: Arc<Semaphore>,
    asked: Arc<Notify>,
}

impl Origin {
    fn asked(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

/// `answers` makes an answer from the head of a request and its number, from 1.
async fn origin(
    answers: impl Fn(&str, usize) -> String + Send + Sync + 'static,
) -> (std::net::SocketAddr, Origin) {
    let origin = Origin {
        heads: Arc::default(),
        gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        asked: Arc::default(),
    };
    let (seen, answers) = (origin.clone(), Arc::new(answers));
    let address = service(move |mut wire: Wire| {
        let (seen, answers) = (seen.clone(), answers.clone());
        async move {
            while let Some(head) = wire.head().await {
                wire.body(&head).await;
                let number = {
                    let mut heads = seen.heads.lock().unwrap();
                    heads.push(head.clone());
                    heads.len()
                };
                seen.asked.notify_one();
                seen.gate.acquire().await.unwrap().forget();
                let text = answers(&head, number);
                if text.is_empty() {
                    return;
                }
                wire.send(&text).await;
            }
        }
    })
    .await;
    (address, origin)
}

fn says(status: u16, fields: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} So\r\n{fields}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn world(address: std::net::SocketAddr, cache: Value) -> (World, Arc<ManualClock>) {
    let registry = Registry::default();
    registry.set("a", &[address]);
    let clock = Arc::new(ManualClock::new(Timestamp(START)));
    (World::at(clock.clone(), options(vec![route(cache)]), registry).await, clock)
}

fn route(cache: Value) -> RouteOptions {
    let keys = json!({ "name": "r", "match": { "path": "/{*rest}" }, "to": "a", "cache": cache });
    serde_json::from_value(keys).unwrap()
}

fn told(answer: &Answer) -> (u16, String, String) {
    let status = answer.header("cache-status").unwrap_or("").to_owned();
    (answer.status, answer.text(), status)
}

fn counted(world: &World, cached: Cached) -> u64 {
    let measured = world.gateway.measured();
    let route = measured.iter().find(|one| &*one.route == "r").unwrap();
    route.cached[Cached::ALL.iter().position(|one| *one == cached).unwrap()]
}

async fn asking(world: &World, fields: &str) -> Answer {
    world.ask(&format!("GET /a HTTP/1.1\r\nhost: shop.example\r\n{fields}\r\n")).await
}

#[tokio::test]
async fn a_fresh_copy_answers_and_a_stale_one_is_asked_about() {
    let (address, origin) = origin(|head, number| match header(head, "if-none-match") {
        Some("\"1\"") => says(304, "cache-control: max-age=60\r\nx-now: 2", ""),
        _ => says(200, "cache-control: max-age=60\r\netag: \"1\"\r\nx-now: 1", &format!("body {number}")),
    })
    .await;
    let (world, clock) = world(address, json!({})).await;
    assert_eq!(
        told(&asking(&world, "").await),
        (200, "body 1".into(), "dozen; fwd=uri-miss; stored; ttl=60".into())
    );
    clock.advance(Duration::from_secs(40));
    let hit = asking(&world, "").await;
    assert_eq!(told(&hit), (200, "body 1".into(), "dozen; hit; ttl=20".into()));
    assert_eq!((hit.header("age"), origin.asked()), (Some("40"), 1));
    // The client's own copy holds as well, and a head has the length of its body.
    let known = asking(&world, "if-none-match: W/\"1\"\r\n").await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    let head = world.ask("HEAD /a HTTP/1.1\r\nhost: shop.example\r\n\r\n").await;
    assert_eq!((head.status, head.header("content-length"), origin.asked()), (200, Some("6"), 1));
    clock.advance(Duration::from_secs(20));
    let again = asking(&world, "").await;
    assert_eq!(told(&again), (200, "body 1".into(), "dozen; hit; fwd=stale; fwd-status=304; ttl=60".into()));
    assert_eq!((again.header("x-now"), origin.asked()), (Some("2"), 2), "what the 304 says is taken over");
    assert!(told(&asking(&world, "").await).2.contains("hit; ttl=60"));
    let forced = asking(&world, "cache-control: no-cache\r\n").await;
    assert!(forced.header("cache-status").unwrap().contains("fwd-status=304") && origin.asked() == 3);
    clock.advance(Duration::from_secs(1));
    assert_eq!(asking(&world, "cache-control: max-age=0, only-if-cached\r\n").await.status, 504);
    assert!(counted(&world, Cached::Hit) >= 4 && counted(&world, Cached::Revalidated) == 2);
    world.end().await;
}

#[tokio::test]
async fn copies_are_told_apart_and_what_is_private_is_none() {
    let (address, origin) = origin(|head, number| {
        let fields = match head {
            head if head.contains("/private") => "cache-control: private, max-age=60",
            head if head.contains("/silent") => "x: y",
            head if head.contains("/public") => "cache-control: public, max-age=60",
            _ => "cache-control: max-age=60\r\nvary: accept-language",
        };
        says(200, fields, &format!("{number}"))
    })
    .await;
    let (world, _) = world(address, json!({ "by": "x-tenant" })).await;
    let get = async |path: &str, fields: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\n{fields}\r\n");
        world.ask(&request).await.text()
    };
    for (path, fields, wanted) in [
        ("/a", "accept-language: en\r\n", "1"),
        ("/a", "accept-language: de\r\n", "2"),
        ("/a", "accept-language: en\r\n", "1"),
        ("/a?x=1", "accept-language: en\r\n", "3"),
        ("/a", "accept-language: en\r\nx-tenant: b\r\n", "4"),
        ("/private", "", "5"),
        ("/private", "", "6"),
        ("/silent", "", "7"),
        ("/silent", "", "8"),
        ("/a/1", "authorization: x\r\n", "9"),
        ("/a/1", "authorization: x\r\n", "10"),
        ("/a/1", "", "11"),
        ("/a/1", "authorization: x\r\n", "12"),
        ("/public", "authorization: x\r\n", "13"),
        ("/public", "authorization: y\r\n", "13"),
        ("/public/1", "cache-control: no-store\r\n", "14"),
        ("/public/1", "", "15"),
        ("/public/1", "range: bytes=0-0\r\n", "16"),
    ] {
        assert_eq!(get(path, fields).await, wanted, "{path} {fields}");
    }
    assert_eq!(origin.asked(), 16);
    world.end().await;
}

#[tokio::test]
async fn an_unsafe_request_that_succeeds_ends_the_copy() {
    let (address, origin) = origin(|head, number| match head {
        head if head.starts_with("post /b") => says(201, "location: /a", ""),
        head if head.starts_with("put") => says(409, "x: y", ""),
        head if head.starts_with("get") => says(200, "cache-control: max-age=60", &number.to_string()),
        _ => says(200, "x: y", ""),
    })
    .await;
    let (world, _) = world(address, json!({})).await;
    let send = async |method: &str, path: &str| {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 0\r\n\r\n");
        world.ask(&request).await.text()
    };
    assert_eq!(
        (send("GET", "/a").await, send("PUT", "/a").await, send("GET", "/a").await),
        ("1".into(), String::new(), "1".into())
    );
    send("DELETE", "/a").await;
    assert_eq!(send("GET", "/a").await, "4", "forgotten by a DELETE of it");
    send("POST", "/b").await;
    assert_eq!(
        (send("GET", "/a").await.as_str(), origin.asked()),
        ("6", 6),
        "forgotten by an answer that names it"
    );
    world.end().await;
}

#[tokio::test]
async fn many_that_ask_the_same_at_once_are_one_request() {
    let (address, origin) =
        origin(|_, number| says(200, "cache-control: max-age=60", &format!("{number}"))).await;
    let (world, _) = world(address, json!({})).await;
    let world = Arc::new(world);
    origin.gate.forget_permits(Semaphore::MAX_PERMITS);
    let mut leader = world.connect().await;
    leader.send("GET /a HTTP/1.1\r\nhost: shop.example\r\n\r\n").await;
    origin.asked.notified().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let others: Vec<_> = (0..20)
        .map(|_| {
            let (world, asked) = (world.clone(), asked.clone());
            tokio::spawn(async move {
                let mut wire = world.connect().await;
                wire.send("GET /a HTTP/1.1\r\nhost: shop.example\r\n\r\n").await;
                asked.fetch_add(1, Ordering::SeqCst);
                wire.answer(false).await
            })
        })
        .collect();
    in_flight(&world, 21).await;
    // The leader goes away with everybody behind it; one of them leads from there on.
    drop(leader);
    origin.asked.notified().await;
    assert_eq!(origin.asked(), 2);
    origin.gate.add_permits(1000);
    for other in others {
        let answer = other.await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "2"));
    }
    assert_eq!(origin.asked(), 2, "and nobody else asked");
    assert!(counted(&world, Cached::Collapsed) >= 1);
    Arc::into_inner(world).unwrap().end().await;
}

/// Waits until so many requests are under way.
async fn in_flight(world: &World, wanted: u64) {
    let there = async {
        while world.gateway.measured().iter().map(|one| one.in_flight).sum::<u64>() < wanted {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(SOON, there).await.unwrap();
}

#[tokio::test]
async fn who_waited_for_nothing_to_keep_asks_alone_and_at_once() {
    let (address, origin) =
        origin(|_, number| says(200, "cache-control: no-store", &format!("{number}"))).await;
    let (world, _) = world(address, json!({})).await;
    let world = Arc::new(world);
    origin.gate.forget_permits(Semaphore::MAX_PERMITS);
    let all: Vec<_> = (0..5)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move { world.get("/a").await.status })
        })
        .collect();
    in_flight(&world, 5).await;
    origin.asked.notified().await;
    origin.gate.add_permits(1);
    // All four others are with the service at the same time: none waits for another again.
    let together = async {
        while origin.asked() < 5 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(SOON, together).await.unwrap();
    origin.gate.add_permits(100);
    for one in all {
        assert_eq!(one.await.unwrap(), 200);
    }
    Arc::into_inner(world).unwrap().end().await;
}

#[tokio::test]
async fn a_stale_copy_answers_while_a_new_one_is_fetched() {
    let fields = "cache-control: max-age=10, stale-while-revalidate=60";
    let (address, origin) = origin(move |_, number| says(200, fields, &format!("{number}"))).await;
    let (world, clock) = world(address, json!({})).await;
    assert_eq!(asking(&world, "").await.text(), "1");
    clock.advance(Duration::from_secs(15));
    origin.asked.notified().await;
    let stale = asking(&world, "").await;
    assert_eq!(told(&stale), (200, "1".into(), "dozen; hit; ttl=-5".into()));
    origin.asked.notified().await;
    let fresh = async {
        while asking(&world, "").await.text() != "2" {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(SOON, fresh).await.unwrap();
    assert_eq!(origin.asked(), 2);
    world.end().await;
}

#[tokio::test]
async fn a_stale_copy_stands_in_for_a_failure() {
    let (address, origin) = origin(|_, number| match number {
        1 => says(200, "cache-control: max-age=10", "good"),
        2 => says(503, "x: y", "bad"),
        3 => String::new(),
        _ => says(500, "x: y", "bad"),
    })
    .await;
    let (world, clock) = world(address, json!({ "stale-if-error": "30s" })).await;
    assert_eq!(asking(&world, "").await.text(), "good");
    clock.advance(Duration::from_secs(20));
    for _ in 0..2 {
        let answer = asking(&world, "").await;
        assert_eq!(told(&answer), (200, "good".into(), "dozen; hit; ttl=-10; detail=stale-if-error".into()));
    }
    clock.advance(Duration::from_secs(30));
    assert_eq!((asking(&world, "").await.status, origin.asked() >= 4), (500, true), "and not for ever");
    world.end().await;
}

#[tokio::test]
async fn a_reload_keeps_the_copies_unless_the_route_would_bring_others() {
    let (address, origin) =
        origin(|_, number| says(200, "cache-control: max-age=60", &format!("{number}"))).await;
    let (world, _) = world(address, json!({})).await;
    assert_eq!(asking(&world, "").await.text(), "1");
    let mut changed = (*world.gateway.options()).clone();
    changed.routes[0].timeout = Duration::from_secs(7);
    changed.routes[0].compress = Some(Default::default());
    world.gateway.apply(&changed).unwrap();
    assert_eq!((asking(&world, "").await.text().as_str(), origin.asked()), ("1", 1));
    changed.routes[0].to[0].service = "a:/other".into();
    let diff = world.gateway.apply(&changed).unwrap();
    assert_eq!(diff.changed[0].keys, ["to"]);
    assert_eq!(asking(&world, "").await.text(), "2", "another path is another answer");
    world.end().await;
}

#[tokio::test]
async fn what_is_too_long_to_be_kept_is_passed_on_whole() {
    let (address, origin) = origin(|head, number| match head.contains("/long") {
        true => says(200, "cache-control: max-age=60", &"x".repeat(5000)),
        false if head.contains("/chunks") => {
            let piece = "y".repeat(0x800);
            let chunk = format!("800\r\n{piece}\r\n");
            format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}{chunk}0\r\n\r\n")
        }
        false => says(200, "cache-control: max-age=60", &format!("whole {number}")),
    })
    .await;
    let (world, _) = world(address, json!({ "max": 100_000, "entry-max": 4096 })).await;
    for (path, length) in [("/long", 5000), ("/long", 5000), ("/chunks", 0x1800), ("/chunks", 0x1800)] {
        assert_eq!(world.get(path).await.body.len(), length, "{path}");
    }
    assert_eq!(origin.asked(), 4);
    world.end().await;
}

/// With more keys of the route than those of its cache, and a proxy in front that is believed.
async fn behind(address: std::net::SocketAddr, keys: Value) -> World {
    let registry = Registry::default();
    registry.set("a", &[address]);
    let mut route = json!({ "name": "r", "match": { "path": "/{*rest}" }, "to": "a", "cache": {} });
    for (name, value) in keys.as_object().unwrap() {
        route[name] = value.clone();
    }
    let mut options = options(vec![serde_json::from_value(route).unwrap()]);
    options.trusted = vec!["127.0.0.1".parse().unwrap()];
    World::start(options, registry).await
}

#[tokio::test]
async fn a_copy_is_known_by_all_that_the_route_makes_the_service_be_asked_for() {
    let from = json!({ "map": { "x-made": { "from": "headers.x-tenant", "required": true } } });
    for keys in [
        json!({ "request": { "query": from } }),
        json!({ "request": { "headers": from } }),
        json!({ "rewrite": { "host": "{header.x-tenant}.internal" } }),
        json!({ "cache": { "by": ["x-tenant"] } }),
    ] {
        let (address, origin) =
            origin(|_, number| says(200, "cache-control: max-age=60", &format!("{number}"))).await;
        let world = behind(address, keys.clone()).await;
        for (tenant, wanted) in [("a", "1"), ("b", "2"), ("a", "1"), ("b", "2")] {
            let answer = asking(&world, &format!("x-tenant: {tenant}\r\n")).await;
            assert_eq!(answer.text(), wanted, "{keys} {tenant}");
        }
        assert_eq!(origin.asked(), 2);
        world.end().await;
    }
}

#[tokio::test]
async fn neither_another_scheme_nor_another_spelling_of_a_header_is_the_same() {
    let (address, _) = origin(|_, number| says(200, "cache-control: max-age=60", &format!("{number}"))).await;
    let world = behind(address, json!({ "cache": { "by": ["x-by"] } })).await;
    for (fields, wanted) in [
        ("x-forwarded-proto: https\r\n", "1"),
        // A service that sends everybody to https must not do so for those who are there.
        ("x-forwarded-proto: http\r\n", "2"),
        ("x-forwarded-proto: https\r\n", "1"),
        ("x-by: a\tb\r\n", "3"),
        ("x-by: a\r\nx-by: b\r\n", "4"),
    ] {
        assert_eq!(asking(&world, fields).await.text(), wanted, "{fields}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_request_with_a_body_is_none_for_a_cache_and_keeps_its_body() {
    let (address, origin) =
        origin(|_, number| says(200, "cache-control: max-age=60", &format!("{number}"))).await;
    let world = behind(address, json!({})).await;
    let ask = "GET /a HTTP/1.1\r\nhost: shop.example\r\n";
    for (rest, wanted) in [
        ("\r\n", "1"),
        ("content-length: 2\r\n\r\nhi", "2"),
        ("transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "3"),
        ("content-length: 0\r\n\r\n", "1"),
    ] {
        assert_eq!(world.ask(&format!("{ask}{rest}")).await.text(), wanted, "{rest}");
    }
    let heads = origin.heads.lock().unwrap().clone();
    assert!(heads[1].contains("content-length: 2") && heads[2].contains("chunked"), "{heads:?}");
    world.end().await;
}

#[tokio::test]
async fn a_copy_that_holds_is_as_old_as_what_was_said_of_it() {
    let (address, _) = origin(|head, _| match header(head, "if-none-match") {
        Some(_) => says(304, "cache-control: max-age=60", ""),
        None => says(200, "cache-control: max-age=60\r\nage: 59\r\netag: \"1\"", "body"),
    })
    .await;
    let (world, clock) = world(address, json!({})).await;
    asking(&world, "").await;
    clock.advance(Duration::from_secs(5));
    assert_eq!(told(&asking(&world, "").await).0, 200);
    let hit = asking(&world, "").await;
    assert_eq!((hit.header("age"), counted(&world, Cached::Hit)), (Some("0"), 1), "{}", hit.head);
    world.end().await;
}
