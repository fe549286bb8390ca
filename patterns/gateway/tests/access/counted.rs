//! How often, and how much at once: requests over sockets, through a whole gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dozen_core::SystemClock;
use dozen_gateway::Options;
use dozen_gateway::auth::ApiKey;
use dozen_sqlite::Sqlite;
use dozen_store::Store;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Semaphore;

use crate::edge::{Registry, World, service};
use crate::wired::{ask, echoes, options};
use crate::world::{Running, keeper, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gw_m3_each_client_has_its_own_limit_and_is_told_what_is_left() {
    let (web, mobile) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
    let shared = json!({
        "identity": { "key": { "key": { "header": "x-api-key" } } },
        "consumers": { "web": { "key": web.hash, "plan": "free" }, "mobile": { "key": mobile.hash } },
        "plans": { "free": { "limit": { "rate": "2/1h" } } },
    });
    let route = json!({
        "match": { "path": "/orders" }, "to": "orders", "auth": { "any": "key" },
        "limit": [{ "rate": "4/1h", "per": "consumer" }, { "rate": "9/1h", "per": "address" }],
    });
    let world = World::start(options(shared.clone(), vec![route.clone()]), echoes(&["orders"]).await).await;
    let send = async |key: &ApiKey| ask(&world, "GET /orders", &[("x-api-key", &key.key)]).await;
    let answer = send(&mobile).await;
    assert_eq!(answer.status, 200);
    let policy = answer.header("ratelimit-policy").unwrap().to_owned();
    assert!(
        policy.contains("\"consumer\";q=4;w=3600") && policy.contains("\"address\";q=9;w=3600"),
        "{policy}"
    );
    let left = answer.header("ratelimit").unwrap();
    assert!(left.contains("\"consumer\";r=3") && left.contains("\"address\";r=8"), "{left}");
    for _ in 0..3 {
        assert_eq!(send(&mobile).await.status, 200);
    }
    let refused = send(&mobile).await;
    assert_eq!((refused.status, refused.header("content-type")), (429, Some("application/problem+json")));
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    // Its plan holds before the route's own limit, and the address for both of them.
    assert_eq!((send(&web).await.status, send(&web).await.status, send(&web).await.status), (200, 200, 429));
    assert_eq!(send(&web).await.status, 429);
    let by_address = ask(&world, "GET /orders", &[("x-api-key", "dzn_guess")]).await;
    assert_eq!(by_address.status, 429, "guessing is limited before anybody is known");
    let counted = async || world.gateway.measured()[0].statuses == [0, 6, 0, 4, 0];
    until("all of them have ended", counted).await;
    // What was used stays used, whatever else is changed.
    let mut slower = route;
    slower["timeout"] = json!("3s");
    let listen = world.gateway.options().listen;
    world.gateway.apply(&Options { listen, ..options(shared, vec![slower]) }).unwrap();
    assert_eq!(send(&mobile).await.status, 429);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gw_m3_one_limit_holds_over_two_gateways_on_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Sqlite::open(&folder.path().join("test.db"), dozen_sqlite::Options::default()).unwrap();
    let store = Store::new(engine, Arc::new(SystemClock));
    let route = json!({
        "match": { "path": "/a" }, "to": "a", "limit": { "rate": "40/1h", "shared": true, "sync": "20ms" },
    });
    let mut gateways = Vec::new();
    for _ in 0..2 {
        let keeper = keeper(Some(store.clone()));
        let running = Running::start(keeper.clone()).await;
        let world =
            World::beside(keeper, options(json!({}), vec![route.clone()]), echoes(&["a"]).await).await;
        gateways.push((world, running));
    }
    let (one, two) = (&gateways[0].0, &gateways[1].0);
    let passes = async |world: &World| usize::from(ask(world, "GET /a", &[]).await.status == 200);
    let mut sums = [0, 0];
    // Whoever has used up its share refuses until it has looked again, so one refusal says nothing yet.
    let mut refused = 0;
    while refused < 30 {
        let passed = [passes(one).await, passes(two).await];
        refused = if passed == [0, 0] { refused + 1 } else { 0 };
        sums = [sums[0] + passed[0], sums[1] + passed[1]];
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("{sums:?} passed, of 40");
    let sum = sums[0] + sums[1];
    assert!((40..=40 + 2 * 40).contains(&sum), "all of it and the stated error: {sums:?}");
    for (world, running) in gateways {
        world.end().await;
        running.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gw_m3_places_are_bounded_and_the_last_are_for_what_matters() {
    let (arrived, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (seen, gate) = (arrived.clone(), go.clone());
    let held = service(move |mut wire| {
        let (seen, gate) = (seen.clone(), gate.clone());
        async move {
            while wire.head().await.is_some() {
                seen.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                wire.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            }
        }
    })
    .await;
    let registry = Registry::default();
    registry.set("held", &[held]);
    let route = |path: &str, more: &str| {
        let mut route = json!({ "match": { "path": path }, "to": "held" });
        let more: serde_json::Value = serde_json::from_str(more).unwrap();
        route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        route
    };
    let routes = vec![
        route("/one", r#"{ "in-flight": { "max": 1 } }"#),
        route("/low", r#"{ "priority": "low" }"#),
        route("/high", r#"{ "priority": "high" }"#),
        route("/normal", "{}"),
    ];
    let shared = json!({ "shed": { "in-flight": 4 } });
    let world = World::start(options(shared, routes), registry).await;
    let mut open = Vec::new();
    for path in ["/one", "/normal"] {
        let mut wire = world.connect().await;
        wire.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        open.push(wire);
    }
    until("both wait for the service", async || arrived.load(Ordering::SeqCst) == 2).await;
    let busy = ask(&world, "GET /one", &[]).await;
    assert_eq!((busy.status, busy.header("retry-after")), (429, Some("1")));
    let shed = ask(&world, "GET /low", &[]).await;
    assert_eq!((shed.status, shed.header("retry-after")), (503, Some("1")), "half of all places is taken");
    // There is room for what matters.
    let mut wire = world.connect().await;
    wire.send("GET /high HTTP/1.1\r\nhost: a\r\n\r\n").await;
    open.push(wire);
    until("it is let through", async || arrived.load(Ordering::SeqCst) == 3).await;
    go.add_permits(1000);
    for wire in &mut open {
        assert_eq!(wire.answer(false).await.status, 200);
    }
    let free = async || ask(&world, "GET /one", &[]).await.status == 200;
    until("the place is given back", free).await;
    let free = async || ask(&world, "GET /low", &[]).await.status == 200;
    until("all places are given back", free).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_socket_has_its_place_until_it_ends() {
    let registry = Registry::default();
    let talking = service(|mut wire| async move {
        while let Some(head) = wire.head().await {
            assert!(head.contains("upgrade: websocket\r\n"), "{head}");
            wire.send(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
            )
            .await;
            let mut said = [0; 4];
            if wire.stream.read_exact(&mut said).await.is_ok() {
                wire.send(&format!("heard {}", String::from_utf8_lossy(&said))).await;
            }
            wire.rest().await;
        }
    });
    registry.set("talking", &[talking.await]);
    let route = json!({ "match": { "path": "/talk" }, "to": "talking", "websocket": "20s", "in-flight": { "max": 1 } });
    let closed = json!({ "match": { "path": "/closed" }, "to": "talking" });
    let world = World::start(options(json!({}), vec![route, closed]), registry).await;
    let opening = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    };
    let mut wire = world.connect().await;
    wire.send(&opening("/talk")).await;
    assert_eq!(wire.answer(false).await.status, 101);
    wire.send("ping").await;
    assert_eq!(wire.bytes(10).await, b"heard ping");
    assert_eq!(world.ask(&opening("/talk")).await.status, 429);
    assert_eq!(world.ask(&opening("/closed")).await.status, 501);
    drop(wire);
    let opens = async || world.ask(&opening("/talk")).await.status == 101;
    until("the place is given back", opens).await;
    world.end().await;
}
