//! The server and the client for handlers, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use dozen_dataplane::{Body, BoxError, Client, Error, Limits, Server};
use dozen_lifecycle::{Ready, Service, Stop};
use http::{Method, Request, StatusCode};
use http_body::Body as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

const SOON: Duration = Duration::from_secs(10);

struct Running {
    address: SocketAddr,
    stop: Stop,
    task: JoinHandle<Result<(), BoxError>>,
}

impl Running {
    async fn start(router: Router, limits: Limits) -> Self {
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), limits).unwrap();
        let address = server.local_addr();
        let service: Arc<dyn Service> = server.serving(router);
        let stop = Stop::new();
        let (ready, mut watching) = Ready::channel();
        let task = tokio::spawn(service.run(stop.clone(), ready));
        watching.wait_for(|ready| *ready).await.unwrap();
        Self { address, stop, task }
    }

    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn ended(self) {
        self.stop.soft.cancel();
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap().unwrap();
    }
}

fn request(method: Method, target: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder().method(method).uri(target).body(body.into()).unwrap()
}

async fn text(body: Body) -> String {
    String::from_utf8(body.collect(1 << 20).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn an_axum_router_answers_and_connections_are_reused() {
    let router = Router::new()
        .route(
            "/peer",
            get(|request: axum::extract::Request| async move {
                request.extensions().get::<dozen_dataplane::Peer>().unwrap().0.to_string()
            }),
        )
        .route("/echo", post(|body: String| async move { body }));
    let running = Running::start(router, Limits::default()).await;
    let client = Client::new();
    let address = running.address.to_string();
    let mut peers = Vec::new();
    for _ in 0..3 {
        let answer = client.send(&address, request(Method::GET, "/a/../peer", ""), SOON).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        peers.push(text(answer.into_body()).await);
    }
    assert!(peers.iter().all(|peer| *peer == peers[0]), "one connection serves all: {peers:?}");
    let answer = client.send(&address, request(Method::POST, "/echo", "hello"), SOON).await.unwrap();
    assert_eq!(text(answer.into_body()).await, "hello");
    running.ended().await;
}

#[tokio::test]
async fn bodies_stream_both_ways_at_once() {
    let echo = |request: axum::extract::Request| async move { axum::body::Body::new(request.into_body()) };
    let running = Running::start(Router::new().route("/", post(echo)), Limits::default()).await;
    let (sender, body) = Body::channel(1);
    let whole = Request::post("/").body(body).unwrap();
    let answer = Client::new().send(&running.address.to_string(), whole, SOON).await.unwrap();
    // The answer has begun, and the request is sent only now: ten times what all buffers on the way can hold.
    let sending = tokio::spawn(async move {
        for at in 0..1000u32 {
            sender.send(Ok(Bytes::from(vec![at.to_le_bytes()[0]; 10_000]))).await.unwrap();
        }
    });
    let whole = answer.into_body().collect(usize::MAX).await.unwrap();
    assert_eq!(whole.len(), 10_000_000);
    assert!(whole.chunks(10_000).enumerate().all(|(at, chunk)| chunk[9_999] == at.to_le_bytes()[0]));
    sending.await.unwrap();
    running.ended().await;
}

#[tokio::test]
async fn server_sent_events_arrive_one_by_one() {
    let (sender, receiver) = mpsc::channel::<Result<Bytes, BoxError>>(1);
    let receiver = Arc::new(tokio::sync::Mutex::new(Some(receiver)));
    let router = Router::new().route(
        "/events",
        get(move || async move {
            let mut receiver = receiver.lock().await.take().unwrap();
            let (out, body) = Body::channel(1);
            tokio::spawn(async move {
                while let Some(event) = receiver.recv().await {
                    if out.send(event).await.is_err() {
                        return;
                    }
                }
            });
            axum::body::Body::new(body)
        }),
    );
    let running = Running::start(router, Limits::default()).await;
    let address = running.address.to_string();
    let answer = Client::new().send(&address, request(Method::GET, "/events", ""), SOON).await.unwrap();
    let mut body = answer.into_body();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        // The second is not even made before the first has been read.
        sender.send(Ok(Bytes::from(event))).await.unwrap();
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await.unwrap();
        assert_eq!(frame.unwrap().into_data().unwrap(), event);
    }
    drop(body);
    running.ended().await;
}

#[tokio::test]
async fn what_is_ambiguous_or_too_large_is_refused_with_its_reason() {
    let limits = Limits { body_max: 10, ..Limits::default() };
    let router = Router::new().route("/", post(|body: Bytes| async move { body.len().to_string() }));
    let running = Running::start(router, limits).await;
    let twice = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx";
    let answer = running.raw(twice).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("application/problem+json") && answer.contains("given twice"), "{answer}");
    let large = running.raw("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\n").await;
    assert!(large.starts_with("HTTP/1.1 413 "), "{large}");
    let long = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    let answer = running.raw(&long).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    running.ended().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let router =
        Router::new().route("/{name}", get(|path: axum::extract::Path<String>| async move { path.0 }));
    let running = Running::start(router, Limits::default()).await;
    let answers = running
        .raw("GET /one HTTP/1.1\r\nhost: a\r\n\r\nGET /two HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    let (one, two) = (answers.find("\r\n\r\none"), answers.find("\r\n\r\ntwo"));
    assert!(one.is_some() && one < two, "{answers}");
    running.ended().await;
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_flight() {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let router = Router::new().route(
        "/slow",
        get({
            let (entered, go) = (entered.clone(), go.clone());
            move || async move {
                entered.notify_one();
                go.notified().await;
                "done"
            }
        }),
    );
    let running = Running::start(router, Limits::default()).await;
    let address = running.address.to_string();
    let asking = tokio::spawn(async move {
        let answer = Client::new().send(&address, request(Method::GET, "/slow", ""), SOON).await.unwrap();
        text(answer.into_body()).await
    });
    entered.notified().await;
    running.stop.soft.cancel();
    go.notify_one();
    assert_eq!(asking.await.unwrap(), "done");
    running.ended().await;
}

#[tokio::test]
async fn a_taken_port_is_named_with_what_to_do() {
    let running = Running::start(Router::new(), Limits::default()).await;
    let limits = Limits { setting: "console.listen".into(), ..Limits::default() };
    let error = Server::bind(running.address, limits).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("another process already listens on {}; stop it or change `console.listen`", running.address)
    );
    running.ended().await;
}

#[tokio::test]
async fn a_client_learns_what_went_wrong() {
    let gone = Server::bind("127.0.0.1:0".parse().unwrap(), Limits::default()).unwrap();
    let address = gone.local_addr().to_string();
    drop(gone);
    let error = Client::new().send(&address, request(Method::GET, "/", ""), SOON).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error}");

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let short = Duration::from_millis(20);
    let error = Client::new().send(&address, request(Method::GET, "/", ""), short).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");

    let error = Body::from("four").collect(3).await.unwrap_err();
    assert!(matches!(error, Error::BodyTooLarge { limit: 3 }), "{error}");
}
