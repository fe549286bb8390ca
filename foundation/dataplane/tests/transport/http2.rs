//! HTTP/2 on either side, and on both.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use dozen_dataplane::{Body, Failure, Forward, Limits, Protocol, Server, Transport};
use dozen_lifecycle::{Ready, Stop};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::{Semaphore, mpsc};

use crate::wire::{echo, service};
use crate::world::{End, World, get, run, said};

/// A server that speaks whichever HTTP it is spoken to in.
pub(crate) async fn server(router: Router) -> SocketAddr {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), Limits::default()).unwrap();
    let address = server.local_addr();
    tokio::spawn(server.serving(router).run(Stop::new(), Ready::channel().0));
    address
}

fn by_http2(forward: &mut Forward<u32>) {
    forward.transport = Some(Arc::new(Transport::new(Protocol::Http2, None).unwrap()));
}

async fn head_and_body(request: axum::extract::Request) -> String {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    format!("{} {} {:?} {}", parts.method, parts.uri, parts.headers, String::from_utf8_lossy(&body))
}

#[tokio::test]
async fn a_request_means_the_same_in_both_versions_whatever_its_service_speaks() {
    let router = Router::new().fallback(any(head_and_body));
    let address = server(router).await;
    let shared = Arc::new(Transport::new(Protocol::Http2, None).unwrap());
    for transport in [None, Some(shared)] {
        let mut world = World::before(address, move |forward| forward.transport = transport.clone()).await;
        let mut sender = world.http2().await;
        let mut texts = Vec::new();
        for body in ["", "hello"] {
            let one = format!(
                "POST /x/../a%62?q HTTP/1.1\r\nhost: shop\r\ncookie: a=1; b=2\r\nx-stripped: 1\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            texts.push(world.ask(&one).await.body);
            let two = Request::post("http://shop/x/../a%62?q")
                .header("cookie", "a=1")
                .header("cookie", "b=2")
                .header("x-stripped", "1")
                .header("content-length", body.len())
                .body(body.into())
                .unwrap();
            texts.push(said(&mut sender, two).await.body);
            for _ in 0..2 {
                let end = world.ended().await;
                assert_eq!((end.ticket, end.status, end.failure, end.reached), (7, 200, None, true));
                assert_eq!(end.bytes_in, body.len() as u64);
            }
        }
        for text in &texts {
            assert!(text.starts_with("POST /ab?q {"), "{text}");
            assert!(text.contains("\"a=1; b=2\"") && text.contains("\"host\": \"shop\""), "{text}");
            assert!(!text.contains("x-stripped"), "{text}");
        }
        assert!(texts[2].ends_with(" hello") && texts[3].ends_with(" hello"));
        drop(sender);
        world.end().await;
    }
}

#[tokio::test]
async fn clients_of_other_makers_speak_http2_without_asking() {
    let world = World::before(echo().await, |_| {}).await;
    let url = format!("http://{}/a", world.address);
    for (program, arguments) in [
        ("curl", &["-sS", "--http2-prior-knowledge", "-d", "hello", "-w", " in %{http_version}"][..]),
        // Offers to change the protocol, and has to do without.
        ("curl", &["-sS", "--http2", "-d", "hello", "-w", " in %{http_version}"]),
        ("nghttp", &["-n", "-v", "-H", ":method: POST"]),
        ("h2load", &["-n", "200", "-c", "4", "-m", "10"]),
    ] {
        let mut all = arguments.to_vec();
        all.push(&url);
        match run(program, &all).await {
            Err(why) if why.contains("cannot be run here") => eprintln!("not run: {why}"),
            Err(why) => panic!("{program}: {why}"),
            Ok(output) if program == "curl" => {
                let version = if all.contains(&"--http2") { "in 1.1" } else { "in 2" };
                assert!(output.ends_with(&format!("\r\n\r\nhello {version}")), "{output}");
            }
            Ok(output) if program == "nghttp" => assert!(output.contains(":status: 200"), "{output}"),
            Ok(output) => assert!(output.contains("200 succeeded, 0 failed, 0 errored"), "{output}"),
        }
    }
    world.end().await;
}

#[tokio::test]
async fn events_pass_one_by_one() {
    let (events, waiting) = mpsc::channel::<&'static str>(1);
    let waiting = Arc::new(tokio::sync::Mutex::new(Some(waiting)));
    let router = Router::new().fallback(any(move || async move {
        let mut waiting = waiting.lock().await.take().unwrap();
        let (out, body) = Body::channel(1);
        tokio::spawn(async move {
            while let Some(event) = waiting.recv().await {
                let _ = out.send(Ok(Bytes::from_static(event.as_bytes()))).await;
            }
        });
        ([("content-type", "text/event-stream")], axum::body::Body::new(body))
    }));
    let world = World::before(server(router).await, by_http2).await;
    let mut sender = world.http2().await;
    let mut body = sender.send_request(get("http://a/")).await.unwrap().into_body();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        // The second is not even made before the first has come.
        events.send(event).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), event);
    }
    drop((body, sender, events));
    world.end().await;
}

#[tokio::test]
async fn what_fails_is_told_and_reported_as_ever() {
    let mut nowhere = World::before("127.0.0.1:1".parse().unwrap(), |_| {}).await;
    let answer = said(&mut nowhere.http2().await, get("http://a/")).await;
    assert_eq!((answer.status, answer.header("content-type")), (502, Some("application/problem+json")));
    assert_eq!(
        nowhere.ended().await,
        End {
            ticket: 7,
            status: 502,
            failure: Some(Failure::Connect),
            bytes_in: 0,
            bytes_out: answer.body.len() as u64,
            reached: true
        }
    );
    nowhere.end().await;

    let halfway = service(|mut wire| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    });
    let mut world = World::before(halfway.await, |_| {}).await;
    let mut sender = world.http2().await;
    // A reset that comes right behind the head may be all that the client's library tells.
    if let Ok(response) = sender.send_request(get("http://a/")).await {
        response.into_body().collect().await.expect_err("the stream is reset");
    }
    let end = world.ended().await;
    assert_eq!((end.status, end.bytes_out), (200, 4));
    assert!(matches!(end.failure, Some(Failure::Broken | Failure::Refused(_))), "{end:?}");
    // The connection is as good as before.
    sender.ready().await.unwrap();
    drop(sender);
    world.end().await;

    let silent = service(|mut wire| async move {
        wire.head().await;
        wire.rest().await;
    });
    let short = std::time::Duration::from_millis(50);
    let mut world = World::before(silent.await, move |forward| forward.timeout = short).await;
    assert_eq!(said(&mut world.http2().await, get("http://a/")).await.status, 504);
    assert_eq!(world.ended().await.failure, Some(Failure::TimedOut));
    world.end().await;
}

#[tokio::test]
async fn a_host_that_is_named_twice_and_differently_is_refused() {
    let world = World::before(echo().await, |_| {}).await;
    let mut sender = world.http2().await;
    for (host, status) in [("shop", 200), ("SHOP", 200), ("other", 400), ("sh op", 400)] {
        let request = Request::get("http://shop/").header("host", host).body(Body::empty()).unwrap();
        assert_eq!(said(&mut sender, request).await.status, status, "{host}");
    }
    for uri in ["http://shop/../x", "http://shop/%00"] {
        assert_eq!(said(&mut sender, get(uri)).await.status, 400, "{uri}");
    }
    drop(sender);
    world.end().await;
}

#[tokio::test]
async fn many_requests_share_a_connection_on_both_sides() {
    let (entered, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let router = Router::new().fallback(any({
        let (entered, go) = (entered.clone(), go.clone());
        move |uri: http::Uri| async move {
            entered.add_permits(1);
            go.acquire().await.unwrap().forget();
            uri.path().to_owned()
        }
    }));
    let transport = Arc::new(Transport::new(Protocol::Http2, None).unwrap());
    let address = server(router).await;
    let world = World::before(address, move |forward| forward.transport = Some(transport.clone())).await;
    let sender = world.http2().await;
    let asking: Vec<_> = (0..50)
        .map(|number| {
            let mut sender = sender.clone();
            tokio::spawn(async move { said(&mut sender, get(&format!("http://a/{number}"))).await.body })
        })
        .collect();
    entered.acquire_many(50).await.unwrap().forget();
    go.add_permits(50);
    for (number, one) in asking.into_iter().enumerate() {
        assert_eq!(one.await.unwrap(), format!("/{number}"));
    }
    drop(sender);
    world.end().await;
}

/// Answers as a service of gRPC does: messages, and the outcome behind them.
async fn like_grpc(request: axum::extract::Request) -> Response<axum::body::Body> {
    let way = request.uri().path().to_owned();
    let takes = request.headers().get("te").is_some_and(|te| te == "trailers");
    let sent = request.into_body().collect().await.unwrap();
    let sent = sent.trailers().and_then(|sent| sent.get("x-check")).cloned();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    trailers.insert("x-takes", takes.to_string().parse().unwrap());
    if let Some(sent) = sent {
        trailers.insert("x-sent", sent);
    }
    let mut frames = vec![Ok(Frame::data(Bytes::from_static(b"message")))];
    match &*way {
        "/breaks" => frames.push(Err(std::io::Error::other("no more"))),
        _ => frames.push(Ok(Frame::trailers(trailers))),
    }
    let body = axum::body::Body::new(StreamBody::new(futures::stream::iter(frames)));
    let head = Response::builder().header("content-type", "application/grpc");
    head.header("trailer", "grpc-status, x-takes, x-sent").body(body).unwrap()
}

fn call(way: &str) -> Request<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-check", "7".parse().unwrap());
    let frames = [Frame::data(Bytes::from_static(b"question")), Frame::trailers(trailers)];
    let frames = futures::stream::iter(frames.map(Ok::<_, std::io::Error>));
    let request =
        Request::post(format!("http://a/{way}")).header("te", "trailers").header("trailer", "x-check");
    request.header("content-type", "application/grpc").body(Body::new(StreamBody::new(frames))).unwrap()
}

#[tokio::test]
async fn grpc_passes_with_its_trailers_and_ends_correctly_when_it_fails() {
    let address = server(Router::new().fallback(any(like_grpc))).await;
    let transport = Arc::new(Transport::new(Protocol::Http2, None).unwrap());
    for transport in [Some(transport), None] {
        let mut world = World::before(address, move |forward| forward.transport = transport.clone()).await;
        let mut sender = world.http2().await;
        let answer = said(&mut sender, call("works")).await;
        assert_eq!((answer.status, &*answer.body), (200, "message"));
        assert_eq!(answer.trailer("grpc-status"), Some("0"));
        assert_eq!((answer.trailer("x-takes"), answer.trailer("x-sent")), (Some("true"), Some("7")));
        assert_eq!(world.ended().await.failure, None);
        // Whether its first message has left the service when it breaks is a matter of time.
        let answer = said(&mut sender, call("breaks")).await;
        assert_eq!((answer.status, answer.outcome()), (200, Some("14")));
        drop(sender);
        world.end().await;
    }
    let halfway = service(|mut wire| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")
            .await;
    });
    let mut world = World::before(halfway.await, |_| {}).await;
    let answer = said(&mut world.http2().await, call("breaks")).await;
    assert_eq!((answer.status, &*answer.body, answer.trailer("grpc-status")), (200, "half", Some("14")));
    assert!(world.ended().await.failure.is_some());
    world.end().await;
    let mut world = World::before("127.0.0.1:1".parse().unwrap(), by_http2).await;
    let answer = said(&mut world.http2().await, call("works")).await;
    assert_eq!((answer.status, answer.outcome()), (200, Some("14")));
    let end = world.ended().await;
    assert_eq!((end.status, end.failure), (502, Some(Failure::Connect)));
    world.end().await;
}
