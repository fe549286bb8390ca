//! What goes wrong while `dozen up` runs: whoever asks is told, everybody else is served, and nothing is lost.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use dozen_faults::{LOOK, PATIENCE, Place, Wire, ports, program};
use dozen_harness::{Reply, Signal, get, post, request};
use dozen_store::Store;
use serde_json::{Value, json};

fn value(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|_| panic!("no JSON: {}", reply.text()))
}

fn check_problem(reply: &Reply, status: u16, title: &str, detail: &str) {
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{reply:?}");
    let problem = json!({ "type": "about:blank", "title": title, "status": status, "detail": detail });
    assert_eq!((reply.status, value(reply)), (status, problem));
}

/// The store of a place, looked into by a runtime of its own.
fn look<T>(place: &Place, work: impl AsyncFnOnce(Store) -> T) -> T {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { work(place.store("test.db").await).await })
}

#[test]
fn a_child_that_never_becomes_healthy_leaves_the_others_serving() {
    let first = ports(6);
    let [gateway, registry, stock, sick, stock_sidecar, sick_sidecar] =
        [0, 1, 2, 3, 4, 5].map(|at| first + at);
    let run_stock = program("shop-stock").display().to_string();
    let place = Place::new(&format!(
        r#"
app: test
store: sqlite:test.db
registry: {{ listen: "127.0.0.1:{registry}" }}
console: false
api: false
services:
  sick:  {{ run: [sleep, "600"], port: {sick}, health: /healthz, start-timeout: 300ms, sidecar: {{ port: {sick_sidecar} }} }}
  stock: {{ run: ["{run_stock}"], port: {stock}, health: /healthz, sidecar: {{ port: {stock_sidecar} }} }}
gateway:
  listen: 127.0.0.1:{gateway}
  routes: {{ "GET /stock/{{sku}}": stock, "GET /sick": sick }}
topics: {{ news: {{}} }}
subscriptions: {{ patient: {{ topic: news, to: "sick:/on-news", attempts-max: 1 }} }}
"#
    ));
    let up = place.up().ready();
    let line = up.hear("sick: `");
    let expected = format!(
        "sick: `sleep 600` did not answer GET /healthz on port {sick} with 2xx within 0.3s (`start-timeout`); last \
         attempt: nobody listens there; it wrote nothing; starting it again in "
    );
    assert!(line.contains(&expected), "{line}");

    let door = format!("http://127.0.0.1:{gateway}");
    let published =
        post(&format!("http://127.0.0.1:{stock_sidecar}/v1.0/publish/pubsub/news"), "text/plain", "hello");
    assert_eq!(published.unwrap().status, 204);
    let ill = get(&format!("{door}/sick")).unwrap();
    check_problem(&ill, 503, "Service Unavailable", "the service is not available at the moment");
    let well = get(&format!("{door}/stock/lamp")).unwrap();
    assert_eq!((well.status, value(&well)), (200, json!({ "sku": "lamp", "available": 100_000 })));
    up.hear("sick: started as process");
    up.stop();
    // What was published for it waits for it, with none of its attempts used up.
    look(&place, async |store| {
        let readers = store.journal().readers("topic/news").await.unwrap();
        assert_eq!(readers.len(), 1);
        assert_eq!((readers[0].lag(), readers[0].parked), (1, 0), "{readers:?}");
    });
}

/// A service that reads and never answers; gives its port.
fn deaf() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(move || {
        for stream in listener.incoming() {
            spawn(move || std::io::copy(&mut stream.unwrap(), &mut std::io::sink()));
        }
    });
    port
}

#[test]
fn a_wrong_request_is_told_what_is_wrong_with_it() {
    let first = ports(3);
    let [gateway, registry, sidecar] = [0, 1, 2].map(|at| first + at);
    let far = deaf();
    let place = Place::new(&format!(
        r#"
app: test
store: sqlite:test.db
registry: {{ listen: "127.0.0.1:{registry}" }}
console: false
api: false
services: {{ far: {{ at: "http://127.0.0.1:{far}", sidecar: {{ port: {sidecar} }} }} }}
gateway: {{ listen: "127.0.0.1:{gateway}", routes: {{ "POST /far": far }} }}
topics: {{ news: {{}} }}
limits: {{ body-max: 1KiB }}
"#
    ));
    let up = place.up().ready();
    let (door, beside) = (format!("http://127.0.0.1:{gateway}"), format!("http://127.0.0.1:{sidecar}/v1.0"));

    let large = post(&format!("{door}/far"), "text/plain", vec![b'x'; 1025]).unwrap();
    check_problem(&large, 413, "Payload Too Large", "the body is larger than the limit");
    // One that does not say how large it is, is found out.
    let mut wire = Wire::connect(gateway).unwrap();
    wire.send("POST /far HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    wire.send(format!("401\r\n{}\r\n0\r\n\r\n", "x".repeat(1025))).unwrap();
    let answer = wire.answer().unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("application/problem+json"), "{answer}");

    for (path, status, code, message) in [
        ("publish/pubsub/olds", 400, "ERR_PUBSUB_PUBLISH_MESSAGE", "there is no topic `olds`"),
        ("publish/press/news", 404, "ERR_PUBSUB_NOT_FOUND", "pubsub `press` is not found; there is `pubsub`"),
        ("invoke/nobody/method/x", 500, "ERR_DIRECT_INVOKE", "app `nobody` has no healthy instance"),
    ] {
        let reply =
            request("POST", &format!("{beside}/{path}"), &[("content-type", "application/json")], b"{}");
        let reply = reply.unwrap();
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert_eq!(value(&reply), json!({ "errorCode": code, "message": message }), "{path}");
    }
    up.stop();
    look(&place, async |store| {
        assert_eq!(
            store.journal().streams("topic/").await.unwrap(),
            [],
            "a refused event left something behind"
        );
    });
}

/// The shop's orders behind a gateway, on ports from `first` on.
fn orders(first: u16, extra: &str) -> Place {
    let run = program("shop-orders").display().to_string();
    let [registry, port, sidecar] = [1, 2, 3].map(|at| first + at);
    Place::new(&format!(
        r#"
app: test
store: sqlite:test.db
registry: {{ listen: "127.0.0.1:{registry}" }}
console: false
api: false
services:
  orders: {{ run: ["{run}"], port: {port}, health: /healthz, sidecar: {{ port: {sidecar} }} }}
{extra}
gateway:
  listen: 127.0.0.1:{first}
  routes: {{ "POST /orders": orders, "GET /slow": slow }}
topics: {{ orders: {{}} }}
queues: {{ invoices: {{}} }}
"#
    ))
}

/// What became of one request.
struct Asked {
    /// When the whole of it had been handed to the kernel, on a connection that stood.
    at: Instant,
    answer: std::io::Result<String>,
}

#[test]
fn sigterm_under_load_answers_every_request_that_was_made() {
    let gateway = ports(4);
    let place = orders(gateway, "  slow: { at: 'http://127.0.0.1:9' }");
    let up = place.up().ready();
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let (stop, answered) = (stop.clone(), answered.clone());
            spawn(move || {
                let mut asked = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let Ok(mut wire) = Wire::connect(gateway) else { break };
                    let order = r#"{"sku":"lamp","quantity":1}"#;
                    if wire.ask("POST", "/orders", order).is_ok() {
                        let at = Instant::now();
                        asked.push(Asked { at, answer: wire.answer() });
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
                asked
            })
        })
        .collect();
    let deadline = Instant::now() + PATIENCE;
    while answered.load(Ordering::Relaxed) < 200 {
        assert!(Instant::now() < deadline, "{}", up.0.output());
        sleep(LOOK);
    }
    let before = Instant::now();
    up.0.signal(Signal::TERM).unwrap();
    up.stopped();
    stop.store(true, Ordering::Relaxed);
    let asked: Vec<Asked> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    let mut ids = BTreeSet::new();
    for Asked { at, answer } in &asked {
        match answer {
            Ok(answer) if answer.starts_with("HTTP/1.1 201 ") => {
                let (_, body) = answer.split_once("\r\n\r\n").unwrap();
                let body: Value = serde_json::from_str(body).unwrap();
                ids.insert(body["id"].as_str().unwrap().to_owned());
            }
            // Who comes while the door closes may find it closed.
            other => assert!(*at >= before, "a request made before the signal got {other:?}"),
        }
    }
    let kept = look(&place, async |store| store.select("select id from orders", []).await.unwrap());
    let kept: BTreeSet<_> = kept.iter().map(|row| row.text(0).unwrap().to_owned()).collect();
    assert!(ids.is_subset(&kept), "an answered order is missing");
    assert!(ids.len() >= 200);
}

/// Not a test of its own: the slow service of the test below. It answers `/slow` when the file `release` is there.
#[test]
fn act() {
    if std::env::var("ACT").as_deref() != Ok("slow") {
        return;
    }
    let listener = TcpListener::bind(("127.0.0.1", std::env::var("PORT").unwrap().parse().unwrap())).unwrap();
    for stream in listener.incoming() {
        spawn(move || {
            let mut stream = stream.unwrap();
            let mut head = [0; 2048];
            let length = stream.read(&mut head).unwrap_or(0);
            if head[..length].starts_with(b"GET /slow") {
                println!("holding a request");
                while !std::path::Path::new("release").exists() {
                    sleep(LOOK);
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nat length");
        });
    }
}

#[test]
fn sigterm_waits_for_a_request_that_takes_its_time() {
    let gateway = ports(6);
    let (port, sidecar, exe) = (gateway + 4, gateway + 5, std::env::current_exe().unwrap());
    let slow = format!(
        "  slow: {{ run: [\"{}\", act, --exact, --nocapture], port: {port}, env: {{ ACT: slow }}, health: /healthz, \
         sidecar: {{ port: {sidecar} }} }}",
        exe.display()
    );
    let place = orders(gateway, &slow);
    let up = place.up().ready();
    let mut wire = Wire::connect(gateway).unwrap();
    wire.ask("GET", "/slow", "").unwrap();
    up.hear("holding a request");
    up.0.signal(Signal::TERM).unwrap();
    up.hear("stopping; a second signal cuts at once");
    std::fs::write(place.file("release"), "").unwrap();
    let answer = wire.answer().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("at length"), "{answer}");
    let begun = Instant::now();
    up.stopped();
    assert!(begun.elapsed() < Duration::from_secs(8), "it waited for more than the request");
}
