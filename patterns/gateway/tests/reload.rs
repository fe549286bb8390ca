//! Changing the configuration under load.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dozen_gateway::{AccessLogOptions, Options, QueryShown, RouteOptions};
use tokio::sync::Semaphore;
use world::{Registry, SOON, Wire, World, echo, options, service};

/// A service that sends a chunk for each permit, for ever.
async fn ticking(next: &Arc<Semaphore>) -> std::net::SocketAddr {
    let next = next.clone();
    service(move |mut wire| {
        let next = next.clone();
        async move {
            wire.head().await;
            wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            loop {
                next.acquire().await.unwrap().forget();
                wire.send("1\r\nx\r\n").await;
            }
        }
    })
    .await
}

async fn stream(world: &World, path: &str) -> Wire {
    let mut wire = world.connect().await;
    wire.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    assert!(wire.head().await.unwrap().starts_with("http/1.1 200"));
    wire
}

/// The two routes that stay, and others that come and go.
fn generation(number: usize) -> Vec<RouteOptions> {
    let mut stays = RouteOptions::new("/steady/{id}", "echo");
    // Its limits change all the time; that concerns nobody who is under way.
    stays.timeout = Duration::from_secs(30 + number as u64 % 7);
    let mut routes = vec![stays, RouteOptions::new("/events", "ticking")];
    routes.extend(
        (0..20 + number % 30).map(|at| RouteOptions::new(format!("/g{}/{at}/{{id}}", number % 5), "echo")),
    );
    routes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_every_20_ms_under_load_fail_no_request_and_close_no_stream() {
    let (next, registry) = (Arc::new(Semaphore::new(0)), Registry::default());
    registry.set("echo", &[echo("echo").await]);
    registry.set("ticking", &[ticking(&next).await]);
    let world = Arc::new(World::start(options(generation(0)), registry).await);
    let mut events = stream(&world, "/events").await;
    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..4 {
        let (world, done, asked) = (world.clone(), done.clone(), asked.clone());
        clients.spawn(async move {
            let mut wire = world.connect().await;
            while !done.load(Ordering::Relaxed) {
                wire.send(&format!("GET /steady/{client} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
                let answer = wire.answer(false).await;
                assert_eq!(answer.status, 200, "{}", answer.head);
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let (start, mut reloads) = (Instant::now(), 0);
    let mut every = tokio::time::interval(Duration::from_millis(20));
    while start.elapsed() < Duration::from_secs(2) {
        every.tick().await;
        reloads += 1;
        let before = (*world.gateway.options()).clone();
        let diff = world.gateway.apply(&Options { routes: generation(reloads), ..before }).unwrap();
        assert!(diff.closes.iter().all(|one| one.route.starts_with("/g")), "{diff:?}");
        next.add_permits(1);
        assert_eq!(events.chunk().await, b"x");
    }
    done.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let asked = asked.load(Ordering::Relaxed);
    assert!(reloads > 50 && asked > 100, "{reloads} reloads, {asked} requests");
    // The counters of a route that stays went on through all of it.
    let steady = || world.gateway.measured().into_iter().find(|one| &*one.route == "/steady/{id}").unwrap();
    // A request ends after its answer has been sent, which a client may have read before.
    let ended = async {
        while steady().in_flight > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(SOON, ended).await.unwrap();
    assert_eq!(steady().statuses[1], asked);
    drop(events);
    Arc::into_inner(world).unwrap().end().await;
}

#[tokio::test]
async fn a_stream_whose_route_goes_ends_after_its_grace_and_others_go_on() {
    let (next, registry) = (Arc::new(Semaphore::new(0)), Registry::default());
    registry.set("ticking", &[ticking(&next).await]);
    registry.set("echo", &[echo("echo").await]);
    let mut going = RouteOptions::new("/going", "ticking");
    going.stream_grace = Duration::from_millis(100);
    let stays = RouteOptions::new("/stays", "ticking");
    let world = World::start(options(vec![going.clone(), stays.clone()]), registry).await;
    let (mut ends, mut lasts) = (stream(&world, "/going").await, stream(&world, "/stays").await);
    going.to[0].service = "echo".into();
    let before = (*world.gateway.options()).clone();
    let diff = world.gateway.apply(&Options { routes: vec![going, stays], ..before }).unwrap();
    assert_eq!((diff.closes[0].service.as_str(), diff.closes[0].grace_ms), ("ticking", 100));
    // New requests go the new way at once.
    assert!(world.get("/going").await.text().starts_with("echo"));
    let cut = tokio::time::timeout(SOON, ends.rest()).await.unwrap();
    assert!(!cut.ends_with(b"0\r\n\r\n"), "a stream that is cut does not look complete");
    next.add_permits(2);
    assert_eq!(lasts.chunk().await, b"x");
    let failed =
        world.journal.recent(10).into_iter().find(|one| one.path == "/going" && one.failure.is_some());
    assert!(failed.unwrap().failure.unwrap().contains("no longer there"));
    // Nobody blames the endpoint.
    let question = dozen_gateway::Question { method: "GET", url: "/stays", ..Default::default() };
    assert!(!world.gateway.explain(&question).endpoints[0].ejected);
    drop(lasts);
    world.end().await;
}

#[tokio::test]
async fn the_access_log_has_a_line_for_each_request_when_the_gateway_has_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.jsonl");
    let registry = Registry::default();
    registry.set("echo", &[echo("echo").await]);
    let mut options = options(vec![RouteOptions::new("/a/{id}", "echo")]);
    options.access_log =
        Some(AccessLogOptions { to: path.to_str().unwrap().into(), query: QueryShown::Names });
    let world = World::start(options, registry).await;
    let answers = [world.get("/a/1?token=s3cr3t").await, world.get("/none").await];
    world.end().await;
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut seen: Vec<_> = lines
        .iter()
        .map(|line| {
            let [path, route, status, bytes] =
                ["path", "route", "status", "bytes"].map(|member| line[member].clone());
            (path, route, status, bytes)
        })
        .collect();
    seen.sort_by_key(|(path, ..)| path.to_string());
    let value = |text: &str| serde_json::Value::from(text);
    assert_eq!(
        seen,
        [
            (value("/a/1"), value("/a/{id}"), 200.into(), answers[0].body.len().into()),
            // What the gateway says itself are bytes, too.
            (value("/none"), serde_json::Value::Null, 404.into(), answers[1].body.len().into()),
        ]
    );
    assert!(text.contains("\"query\":\"token\"") && !text.contains("s3cr3t"), "{text}");
}
