//! More than one attempt at a request: when there is another, on which endpoint, and who pays for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dozen_core::{Endpoint, EndpointSet};
use dozen_dataplane::resilience::{BudgetPolicy, Cause, HedgeAfter, HedgePolicy, RetryPolicy};
use dozen_dataplane::{
    Around, Body, Context, Failure, Forward, Next, OwnKey, Protocol, ServicePolicy, Strategy, Transport,
    Upstream, Upstreams, Verdict,
};
use futures::future::BoxFuture;
use http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::wire::{Wire, service};
use crate::world::{World, get, said};

/// Endpoints that are asked in this order.
fn upstream(addresses: &[String], policy: ServicePolicy) -> Arc<Upstream> {
    let endpoints = addresses.iter().cloned().map(Endpoint::at).collect();
    let set = Arc::new(EndpointSet { service: "service".into(), version: 1, endpoints });
    let receiver = watch::channel(set).1;
    let resolve = Arc::new(move |_: &str| Some(receiver.clone()));
    let policy = ServicePolicy { strategy: Strategy::RoundRobin, ..policy };
    Upstreams::new(resolve, policy).get("service").unwrap()
}

async fn before(addresses: &[SocketAddr], policy: ServicePolicy) -> (World, Arc<Upstream>) {
    let names: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    let upstream = upstream(&names, policy);
    (before_upstream(&upstream, |_| {}).await, upstream)
}

async fn before_upstream(
    upstream: &Arc<Upstream>,
    change: impl Fn(&mut Forward<u32>) + Send + Sync + 'static,
) -> World {
    let upstream = upstream.clone();
    World::start(move |_, _| {
        let mut forward = Forward::new(upstream.clone(), 1, 7);
        change(&mut forward);
        Verdict::Forward(forward)
    })
    .await
}

/// Sent again at once, twice at most.
fn again() -> ServicePolicy {
    let retry = RetryPolicy { backoff: Duration::ZERO, ..RetryPolicy::default() };
    ServicePolicy { retry, ..ServicePolicy::default() }
}

/// A service that does `what` with each request, and says how many there were.
async fn does(what: impl Fn(u32) -> Does + Send + Sync + 'static) -> (SocketAddr, Arc<AtomicU32>) {
    let (what, count) = (Arc::new(what), Arc::new(AtomicU32::new(0)));
    let asked = count.clone();
    let address = service(move |mut wire| {
        let (what, asked) = (what.clone(), asked.clone());
        async move {
            while let Some(head) = wire.head().await {
                let body = wire.body(&head).await;
                let number = asked.fetch_add(1, Ordering::SeqCst) + 1;
                let said = format!("{head}{body}");
                match what(number) {
                    Does::Answer(status) => {
                        let length = said.len();
                        wire.send(format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{said}"))
                            .await;
                    }
                    Does::Say(bytes) => {
                        wire.send(bytes).await;
                        return;
                    }
                    Does::Hang => std::future::pending().await,
                }
            }
        }
    })
    .await;
    (address, count)
}

enum Does {
    Answer(u16),
    /// These bytes, and the end of the connection.
    Say(&'static str),
    Hang,
}

/// A service that takes a request and never answers; it says when its connection is closed.
async fn hangs() -> (SocketAddr, mpsc::UnboundedReceiver<()>) {
    let (gone, ended) = mpsc::unbounded_channel();
    let address = service(move |mut wire| {
        let gone = gone.clone();
        async move {
            wire.head().await;
            wire.rest().await;
            let _ = gone.send(());
        }
    })
    .await;
    (address, ended)
}

fn asked(count: &AtomicU32) -> u32 {
    count.load(Ordering::SeqCst)
}

const GET: &str = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn a_request_that_is_safe_goes_to_another_endpoint_whatever_the_first_does() {
    for bad in ["", "HTTP/1.1 2", "nonsense\r\n\r\n", "HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n"] {
        let (broken, tried) = does(move |_| Does::Say(bad)).await;
        let (good, _) = does(|_| Does::Answer(200)).await;
        let (mut world, upstream) = before(&[broken, good], again()).await;
        let answer = world.ask(GET).await;
        assert_eq!((answer.status, answer.header("dozen-attempt")), (200, Some("2")), "{bad:?}");
        let said = answer.body.contains("dozen-attempt: 2");
        assert!(said, "whoever is asked knows that somebody repeats: {}", answer.body);
        assert_eq!(world.ended().await.failure, None);
        assert_eq!((asked(&tried), upstream.view().totals.retries), (1, 1), "{bad:?}");
    }
}

#[tokio::test]
async fn half_an_answer_is_passed_on_and_nothing_behind_a_whole_one() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let (broken, count) = does(move |_| Does::Say(half)).await;
    let (mut world, _) = before(&[broken], again()).await;
    let mut wire = world.wire().await;
    wire.send(GET).await;
    assert!(wire.head().await.unwrap().starts_with("http/1.1 200"));
    assert_eq!(wire.rest().await, b"half", "the client is told by the end of the connection");
    assert!(matches!(world.ended().await.failure, Some(Failure::Broken | Failure::Refused(_))));
    assert_eq!(asked(&count), 1);

    // Two answers to one request: the second is nobody's, and its connection is used no more.
    let twice =
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\noneHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ntwo";
    let (chatty, _) =
        does(move |number| if number == 1 { Does::Say(twice) } else { Does::Answer(200) }).await;
    let (world, _) = before(&[chatty], again()).await;
    let mut wire = world.wire().await;
    wire.send(GET).await;
    assert_eq!(wire.answer(false).await.body, "one");
    wire.send(GET).await;
    assert!(wire.answer(false).await.body.starts_with("get /a"));
}

#[tokio::test]
async fn what_may_have_had_an_effect_is_not_sent_twice_unless_its_key_makes_that_safe() {
    let post = |more: &str| format!("POST /a HTTP/1.1\r\nhost: a\r\n{more}content-length: 2\r\n\r\nhi");
    let (broken, count) = does(|_| Does::Say("")).await;
    let (world, _) = before(&[broken], again()).await;
    assert_eq!(world.ask(&post("")).await.status, 502);
    assert_eq!(asked(&count), 1);
    assert_eq!(world.ask(&post("idempotency-key: 7\r\n")).await.status, 502);
    assert_eq!(asked(&count), 4, "three attempts more");
    // Somebody in front repeats it already.
    assert_eq!(world.ask("GET /a HTTP/1.1\r\nhost: a\r\ndozen-attempt: 1\r\n\r\n").await.status, 502);
    assert_eq!(asked(&count), 5);
}

/// Gives each request a key.
struct Naming;

impl Around for Naming {
    fn around(
        &self,
        mut request: Request<Body>,
        next: Next,
        _: Context,
    ) -> BoxFuture<'static, Result<Response<Body>, Failure>> {
        request.headers_mut().insert("idempotency-key", "ours".parse().unwrap());
        request.extensions_mut().insert(OwnKey);
        next.ask(request)
    }
}

#[tokio::test]
async fn a_key_that_is_not_the_clients_makes_nothing_safe() {
    let (broken, count) = does(|_| Does::Say("")).await;
    let upstream = upstream(&[broken.to_string()], again());
    let world = before_upstream(&upstream, |forward| forward.around = Some(Arc::new(Naming))).await;
    let post = "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
    assert_eq!((world.ask(post).await.status, asked(&count)), (502, 1));
    assert_eq!((world.ask(&post.replace("POST", "PUT")).await.status, asked(&count)), (502, 4));
}

#[tokio::test]
async fn a_body_that_comes_in_pieces_is_sent_again_from_its_beginning() {
    let (flaky, count) = does(|number| if number == 1 { Does::Say("") } else { Does::Answer(200) }).await;
    let (world, _) = before(&[flaky], again()).await;
    let mut wire = world.wire().await;
    wire.send("PUT /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n").await;
    wire.send("4\r\n two\r\n0\r\n\r\n").await;
    let answer = wire.answer(false).await;
    assert!(answer.status == 200 && answer.body.ends_with("one two"), "{answer:?}");
    assert_eq!(asked(&count), 2);

    // One that is too long to be kept is sent once.
    let (flaky, count) = does(|number| if number == 1 { Does::Say("") } else { Does::Answer(200) }).await;
    let (world, _) = before(&[flaky], again()).await;
    let mut wire = world.wire().await;
    wire.send("PUT /a HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n").await;
    wire.send(vec![b'x'; 100_000]).await;
    assert_eq!(wire.answer(false).await.status, 502);
    assert_eq!(asked(&count), 1);
}

#[tokio::test]
async fn an_attempt_that_hangs_is_given_up_and_its_connection_closed() {
    let (hanging, mut ended) = hangs().await;
    let (good, _) = does(|_| Does::Answer(200)).await;
    let mut policy = again();
    policy.retry.per_try_timeout = Some(Duration::from_millis(100));
    let (world, upstream) = before(&[hanging, good], policy).await;
    assert_eq!(world.ask(GET).await.status, 200);
    tokio::time::timeout(crate::world::SOON, ended.recv()).await.unwrap();
    assert_eq!(upstream.view().totals.retries, 1);
}

#[tokio::test]
async fn a_name_that_is_no_longer_known_is_another_endpoint_that_cannot_be_connected_to() {
    let (good, _) = does(|_| Does::Answer(200)).await;
    for policy in [ServicePolicy::default(), again()] {
        let names = ["gone.invalid:80".to_owned(), good.to_string()];
        let world = before_upstream(&upstream(&names, policy), |_| {}).await;
        for _ in 0..4 {
            // Whatever it is: nothing of it was sent.
            let answer = world.ask("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi").await;
            assert_eq!(answer.status, 200);
        }
    }
}

#[tokio::test]
async fn a_storm_is_bounded_by_the_budget() {
    let (broken, count) = does(|_| Does::Answer(503)).await;
    let mut policy = again();
    policy.budget = BudgetPolicy { percent: 20, per_second_min: 0, window: Duration::from_secs(60) };
    policy.ejection.failures = u32::MAX;
    policy.ejection.failure_percent = 0;
    let (world, upstream) = before(&[broken], policy).await;
    for _ in 0..200 {
        let answer = world.ask(GET).await;
        assert_eq!(answer.status, 503, "the service's own answer, where there is no better one");
        assert!(answer.body.starts_with("get /a"));
    }
    let totals = upstream.view().totals;
    assert!((35..=40).contains(&totals.retries), "{totals:?}");
    assert_eq!(u64::from(asked(&count)), 200 + totals.retries);
    assert!(totals.retries_refused > 100, "{totals:?}");
}

#[tokio::test]
async fn a_hedge_wins_and_the_loser_is_cancelled() {
    let (slow, mut ended) = hangs().await;
    let (quick, count) = does(|_| Does::Answer(200)).await;
    let after = HedgeAfter::Time(Duration::from_millis(50));
    let policy = ServicePolicy { hedge: Some(HedgePolicy { after, max: 1 }), ..ServicePolicy::default() };
    let (mut world, upstream) = before(&[slow, quick], policy).await;
    assert_eq!(world.ask(GET).await.status, 200);
    assert_eq!(world.ended().await.failure, None);
    tokio::time::timeout(crate::world::SOON, ended.recv()).await.unwrap();
    let view = upstream.view();
    assert_eq!((view.totals.hedges, asked(&count)), (1, 1));
    let blamed = view.endpoints.iter().filter(|endpoint| endpoint.ejections > 0);
    assert_eq!(blamed.count(), 0, "who lost is not blamed");
    let until = Instant::now() + crate::world::SOON;
    while upstream.view().in_flight > 0 {
        assert!(Instant::now() < until, "and nobody waits for it any more");
        tokio::task::yield_now().await;
    }

    // What changes something is asked once, however long it takes: the slow one is asked next.
    let waited = world.ask("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
    assert!(tokio::time::timeout(Duration::from_millis(400), waited).await.is_err());
    assert_eq!((upstream.view().totals.hedges, asked(&count)), (1, 1));
}

#[tokio::test]
async fn a_service_of_http2_is_asked_again_by_the_same_rules() {
    async fn h2(status: u16) -> (SocketAddr, Arc<AtomicU32>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicU32::new(0)));
        let asked = count.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let asked = asked.clone();
                let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                    asked.fetch_add(1, Ordering::SeqCst);
                    let attempt = request.headers().get("dozen-attempt").cloned();
                    let mut answer = Response::new(Body::from("said"));
                    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
                    answer.headers_mut().insert("x-seen", attempt.unwrap());
                    std::future::ready(Ok::<_, std::convert::Infallible>(answer))
                });
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }
        });
        (address, count)
    }
    let ((bad, tried), (good, _)) = (h2(503).await, h2(200).await);
    let upstream = upstream(&[bad.to_string(), good.to_string()], again());
    let transport = Arc::new(Transport::new(Protocol::Http2, None).unwrap());
    let world = before_upstream(&upstream, move |forward| forward.transport = Some(transport.clone())).await;
    let mut sender = world.http2().await;
    let uri = format!("http://{}/a", world.address);
    let answer = said(&mut sender, get(&uri)).await;
    assert_eq!((answer.status, answer.header("x-seen"), asked(&tried)), (200, Some("2"), 1));
}

#[tokio::test]
async fn what_is_left_of_the_deadline_is_told_and_a_client_can_only_shorten_it() {
    let told = |body: &str| -> u64 {
        let line = body.lines().find_map(|line| line.strip_prefix("dozen-deadline: "));
        line.map_or(u64::MAX, |millis| millis.parse().unwrap())
    };
    let (good, count) = does(|_| Does::Answer(200)).await;
    let names = [good.to_string()];
    for policy in [ServicePolicy::default(), again()] {
        let upstream = upstream(&names, policy);
        let world = before_upstream(&upstream, |forward| forward.total = Some(Duration::from_secs(9))).await;
        let with = |line: &str| format!("GET /a HTTP/1.1\r\nhost: a\r\n{line}\r\n");
        let left = told(&world.ask(&with("")).await.body);
        assert!((5000..=9000).contains(&left), "{left}");
        let left = told(&world.ask(&with("dozen-deadline: 3000\r\n")).await.body);
        assert!((1000..=3000).contains(&left), "{left}");
        let left = told(&world.ask(&with("dozen-deadline: 60000\r\n")).await.body);
        assert!((5000..=9000).contains(&left), "{left}");
        let before = asked(&count);
        assert_eq!(world.ask(&with("dozen-deadline: 0\r\n")).await.status, 504);
        assert_eq!(asked(&count), before, "nobody works for a client that has given up");
        let world = before_upstream(&upstream, |_| {}).await;
        let answer = world.ask(&with("")).await;
        assert_eq!(told(&answer.body), u64::MAX, "without a deadline none is told");
    }
}

#[tokio::test]
async fn a_deadline_of_the_client_ends_the_wait_over_all_attempts() {
    let (hanging, _) = does(|_| Does::Hang).await;
    let mut policy = again();
    policy.retry.per_try_timeout = Some(Duration::from_millis(150));
    policy.retry.attempts_max = 100;
    policy.retry.on = vec![Cause::Timeout];
    policy.budget.percent = 1_000_000;
    let (world, _) = before(&[hanging], policy).await;
    let began = Instant::now();
    let answer = world.ask("GET /a HTTP/1.1\r\nhost: a\r\ndozen-deadline: 500\r\n\r\n").await;
    assert_eq!(answer.status, 504);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn requests_that_are_too_many_at_once_wait_for_their_turn() {
    let (release, _) = tokio::sync::broadcast::channel::<()>(4);
    let sender = release.clone();
    let held = service(move |mut wire: Wire<_>| {
        let mut go = sender.subscribe();
        async move {
            while wire.head().await.is_some() {
                let _ = go.recv().await;
                wire.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    })
    .await;
    let in_flight_max = std::num::NonZeroU32::new(1);
    let policy = ServicePolicy { in_flight_max, pending_max: 1, ..ServicePolicy::default() };
    let (world, upstream) = before(&[held], policy).await;
    let wires: Vec<_> = futures::future::join_all((0..2).map(|_| world.wire())).await;
    let mut wires = wires.into_iter();
    let (mut first, mut second) = (wires.next().unwrap(), wires.next().unwrap());
    first.send(GET).await;
    while upstream.view().in_flight < 1 {
        tokio::task::yield_now().await;
    }
    second.send(GET).await;
    while upstream.view().pending < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.ask(GET).await.status, 503, "and beyond those that may wait they are refused");
    while release.receiver_count() < 1 {
        tokio::task::yield_now().await;
    }
    let releasing = tokio::spawn(async move {
        loop {
            let _ = release.send(());
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(first.answer(false).await.status, 200);
    assert_eq!(second.answer(false).await.status, 200);
    releasing.abort();
}
