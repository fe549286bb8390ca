//! Requests that are answered by a service.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dozen_dataplane::{Body, Failure, Serve, Serving, Verdict};
use http::{Request, Response};
use http_body::Body as _;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};

use crate::world::{Answering, World, get, said, text};

async fn world_of(
    service: impl Serve + 'static,
    change: impl Fn(&mut Serving<u32>) + Send + Sync + 'static,
) -> World {
    let service: Arc<dyn Serve> = Arc::new(service);
    World::start(move |_, outgoing| {
        outgoing.add("x-added", b"1");
        let mut serving =
            Serving { service: service.clone(), around: None, body_max: 1 << 20, total: None, ticket: 3 };
        change(&mut serving);
        Verdict::Serve(serving)
    })
    .await
}

/// Says what it was sent.
async fn repeat(request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let added = parts.headers.contains_key("x-added") && !parts.headers.contains_key("x-stripped");
    let said = match text(body).await {
        Ok(body) => format!("{} {} {added} {body}", parts.method, parts.uri),
        Err(_) => return Response::builder().status(400).body("half".into()).unwrap(),
    };
    Response::new(said.into())
}

#[tokio::test]
async fn a_service_answers_request_after_request_on_one_connection() {
    let mut world = world_of(Answering(repeat), |_| {}).await;
    let mut wire = world.wire().await;
    for (request, says) in [
        ("GET /a/../b?c HTTP/1.1\r\nhost: a\r\n\r\n", "GET /b?c true "),
        ("POST / HTTP/1.1\r\nhost: a\r\nx-stripped: 1\r\ncontent-length: 3\r\n\r\nabc", "POST / true abc"),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
            "POST / true abc",
        ),
        ("DELETE /x HTTP/1.1\r\nhost: a\r\n\r\n", "DELETE /x true "),
    ] {
        wire.send(request).await;
        let answer = wire.answer(false).await;
        assert_eq!((answer.status, &*answer.body), (200, says));
        let end = world.ended().await;
        assert_eq!((end.ticket, end.status, end.failure), (3, 200, None));
        assert_eq!(end.bytes_out, says.len() as u64);
    }
    wire.send("HEAD /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let answer = wire.answer(true).await;
    assert_eq!((answer.status, answer.header("content-length")), (200, None));
    wire.send("PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    assert!(wire.head().await.unwrap().starts_with("http/1.1 100"));
    wire.send("hi").await;
    assert_eq!(wire.answer(false).await.body, "PUT / true hi");
    // HTTP/1.0, which knows neither chunks nor staying.
    wire.send("GET / HTTP/1.0\r\n\r\n").await;
    let answer = wire.answer(false).await;
    assert_eq!(answer.header("connection"), Some("close"));
    let mut sender = world.http2().await;
    let request = Request::post("http://a/b/./c").body("hello".into()).unwrap();
    assert_eq!(said(&mut sender, request).await.body, "POST /b/c true hello");
    drop(sender);
    world.end().await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_stated_or_not() {
    let mut world = world_of(Answering(repeat), |serving| serving.body_max = 4).await;
    let stated = world.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello").await;
    assert_eq!((stated.status, stated.header("connection")), (413, Some("close")));
    assert_eq!(world.ended().await.status, 413);
    let chunks = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let answer = world.ask(chunks).await;
    assert_eq!((answer.status, &*answer.body), (400, "half"), "the service sees that its body broke off");
    world.ended().await;
    let mut sender = world.http2().await;
    let stated = Request::post("http://a/").body("hello".into()).unwrap();
    assert_eq!(said(&mut sender, stated).await.status, 413);
    let (out, body) = Body::channel(1);
    out.send(Ok(Bytes::from_static(b"hello"))).await.unwrap();
    let answer = said(&mut sender, Request::post("http://a/").body(body).unwrap()).await;
    assert_eq!((answer.status, &*answer.body), (400, "half"));
    drop(sender);
    world.end().await;
}

#[tokio::test]
async fn bodies_stream_both_ways_at_once() {
    let mirror = |request: Request<Body>| async move { Response::new(request.into_body()) };
    let world = world_of(Answering(mirror), |serving| serving.body_max = u64::MAX).await;
    let mut wire = world.wire().await;
    wire.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
    assert_eq!(crate::wire::header(&wire.head().await.unwrap(), "transfer-encoding"), Some("chunked"));
    for number in 0..20 {
        // The next piece is not even sent before this one has come back.
        wire.send(format!("3\r\n<{}>\r\n", number % 10)).await;
        assert_eq!(wire.line().await, "3");
        assert_eq!(wire.line().await, format!("<{}>", number % 10));
    }
    wire.send("0\r\n\r\n").await;
    assert_eq!((wire.line().await, wire.line().await), ("0".into(), String::new()));

    let mut sender = world.http2().await;
    let (out, body) = Body::channel(1);
    let response = sender.send_request(Request::post("http://a/").body(body).unwrap()).await.unwrap();
    let mut back = response.into_body();
    for number in 0..20u8 {
        out.send(Ok(Bytes::from(vec![number; 1000]))).await.unwrap();
        let mut left = 1000;
        while left > 0 {
            let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut back).poll_frame(cx)).await;
            left -= frame.unwrap().unwrap().into_data().unwrap().len();
        }
    }
    drop((out, back, sender, wire));
    world.end().await;
}

#[tokio::test]
async fn a_service_that_takes_too_long_is_cut_before_and_behind_its_head() {
    let slow = |request: Request<Body>| async move {
        if request.uri().path() == "/never" {
            std::future::pending::<()>().await;
        }
        let (out, body) = Body::channel(2);
        out.send(Ok(Bytes::from_static(b"part"))).await.unwrap();
        // Kept by the body's end of the stream: it never ends.
        tokio::spawn(async move { out.closed().await });
        Response::new(body)
    };
    let mut world =
        world_of(Answering(slow), |serving| serving.total = Some(Duration::from_millis(200))).await;
    assert_eq!(world.ask("GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await.status, 504);
    assert_eq!(world.ended().await.failure, Some(Failure::TimedOut));
    let mut wire = world.wire().await;
    wire.send("GET /part HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let text = String::from_utf8(wire.rest().await).unwrap();
    assert!(text.ends_with("4\r\npart\r\n"), "nothing pretends that this was all: {text}");
    let end = world.ended().await;
    assert_eq!((end.status, end.failure, end.bytes_out), (200, Some(Failure::TimedOut), 4));

    let mut sender = world.http2().await;
    assert_eq!(said(&mut sender, get("http://a/never")).await.status, 504);
    assert_eq!(world.ended().await.failure, Some(Failure::TimedOut));
    let response = sender.send_request(get("http://a/part")).await.unwrap();
    http_body_util::BodyExt::collect(response.into_body()).await.expect_err("the stream is reset");
    assert_eq!(world.ended().await.failure, Some(Failure::TimedOut));
    drop(sender);
    world.end().await;
}

#[tokio::test]
async fn a_client_that_goes_away_stops_its_service() {
    struct Tell(Arc<Semaphore>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.add_permits(1);
        }
    }
    let (entered, left) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let endless = {
        let (entered, left) = (entered.clone(), left.clone());
        move |_| {
            let (entered, tell) = (entered.clone(), Tell(left.clone()));
            async move {
                entered.notify_one();
                std::future::pending::<()>().await;
                drop(tell);
                Response::new(Body::empty())
            }
        }
    };
    let mut world = world_of(Answering(endless), |_| {}).await;
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    entered.notified().await;
    drop(wire);
    left.acquire().await.unwrap().forget();
    assert_eq!(world.ended().await.failure, Some(Failure::ClientGone));
    let mut sender = world.http2().await;
    let asking = tokio::spawn(async move { sender.send_request(get("http://a/")).await });
    entered.notified().await;
    asking.abort();
    left.acquire().await.unwrap().forget();
    assert_eq!(world.ended().await.failure, Some(Failure::ClientGone));
    world.end().await;
}

#[tokio::test]
async fn a_drain_waits_for_services_and_closes_behind_their_answers() {
    let (entered, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let slow = {
        let (entered, go) = (entered.clone(), go.clone());
        move |_| {
            let (entered, go) = (entered.clone(), go.clone());
            async move {
                entered.add_permits(1);
                go.acquire().await.unwrap().forget();
                Response::new("done".into())
            }
        }
    };
    let world = world_of(Answering(slow), |_| {}).await;
    let mut wire = world.wire().await;
    wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut sender = world.http2().await;
    let asking = tokio::spawn(async move { said(&mut sender, get("http://a/")).await });
    entered.acquire_many(2).await.unwrap().forget();
    world.stop.soft.cancel();
    while TcpStream::connect(world.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go.add_permits(2);
    let answer = wire.answer(false).await;
    assert_eq!((&*answer.body, answer.header("connection")), ("done", Some("close")));
    assert_eq!(asking.await.unwrap().body, "done");
    world.end().await;
}
