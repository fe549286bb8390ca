//! What the console does when the store is away, and when it is told to stop while somebody looks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use dozen_console::Sources;
use dozen_core::{Message, SystemClock};
use dozen_dataplane::{Limits, Server};
use dozen_lifecycle::{Ready, Stop};
use dozen_memory::Memory;
use dozen_store::{Fault, Faulty, Store};
use futures::StreamExt as _;
use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::ServiceExt as _;

const SOON: Duration = Duration::from_secs(10);

/// A store, and the switch that takes it away.
fn store() -> (Store, Arc<AtomicBool>) {
    let away = Arc::new(AtomicBool::new(false));
    let switch = away.clone();
    let engine =
        Faulty::new(
            Memory::new(),
            move |_| {
                if away.load(Ordering::SeqCst) { Fault::Before } else { Fault::None }
            },
        );
    (Store::new(Arc::new(engine), Arc::new(SystemClock)), switch)
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).header("host", "localhost").body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_store_that_is_away_makes_a_page_that_says_so_until_it_is_back() {
    let (store, away) = store();
    store.journal().append(&"queue/work".into(), vec![Message::new("m1", "/", "t")]).await.unwrap();
    let router = dozen_console::router(Sources::new("shop", store), Stop::new()).unwrap();
    let paths = ["/", "/queue", "/queue/work", "/topic", "/message/m1", "/api/queue/work", "/api/message/m1"];
    for (is_away, expected) in [(true, StatusCode::BAD_GATEWAY), (false, StatusCode::OK)] {
        away.store(is_away, Ordering::SeqCst);
        for path in paths {
            let response = router.clone().oneshot(get(path)).await.unwrap();
            assert_eq!(response.status(), expected, "{path}");
            let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            let says_so = String::from_utf8_lossy(&body).contains("store did not answer: ");
            assert_eq!(says_so, is_away, "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn events_go_on_when_the_store_is_back() {
    let (store, away) = store();
    let router = dozen_console::router(Sources::new("shop", store), Stop::new()).unwrap();
    away.store(true, Ordering::SeqCst);
    let mut events = router.oneshot(get("/events")).await.unwrap().into_body().into_data_stream();
    let early = tokio::time::timeout(Duration::from_secs(5), events.next()).await;
    assert!(early.is_err(), "{early:?}");
    away.store(false, Ordering::SeqCst);
    let event = tokio::time::timeout(Duration::from_secs(5), events.next()).await.unwrap().unwrap().unwrap();
    assert!(event.starts_with(b"data: {"), "{event:?}");
}

#[tokio::test]
async fn a_page_that_follows_does_not_hold_up_the_stop() {
    let (store, _) = store();
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), Limits::default()).unwrap();
    let address = server.local_addr();
    let service = dozen_console::serve(Sources::new("shop", store), server).unwrap();
    let (stop, (ready, _)) = (Stop::new(), Ready::channel());
    let running = tokio::spawn(service.run(stop.clone(), ready));
    let mut page = tokio::net::TcpStream::connect(address).await.unwrap();
    page.write_all(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut seen = Vec::new();
    while !seen.windows(6).any(|part| part == b"data: ") {
        let read = tokio::time::timeout(SOON, page.read_buf(&mut seen)).await.unwrap().unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&seen));
    }
    stop.soft.cancel();
    tokio::time::timeout(SOON, running).await.unwrap().unwrap().unwrap();
    tokio::time::timeout(SOON, page.read_to_end(&mut seen)).await.unwrap().unwrap();
    assert!(seen.ends_with(b"0\r\n\r\n"), "the answer is whole: {}", String::from_utf8_lossy(&seen));
}
