//! Several services, one answer, over real sockets. What happens at the same time is shown by meeting, not by timing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dozen_gateway::{AccessLogOptions, QueryShown, Question, RouteOptions};
use serde_json::{Value, json};
use tokio::sync::{Barrier, Notify, mpsc, oneshot};
use world::{Registry, SOON, Wire, World, nowhere, options, service};

/// A gateway with one composed route, and these services behind it.
async fn world(services: &[(&str, SocketAddr)], compose: Value) -> World {
    let registry = Registry::default();
    for (name, address) in services {
        registry.set(name, &[*address]);
    }
    let route: RouteOptions =
        serde_json::from_value(json!({ "match": { "path": "/orders/{id}" }, "compose": compose })).unwrap();
    World::start(options(vec![route]), registry).await
}

/// What a service sends.
fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} So\r\nserver: secret/1.0\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A service that always answers so.
async fn says(status: u16, body: &str) -> SocketAddr {
    let answer: Arc<str> = answer(status, body).into();
    service(move |mut wire| {
        let answer = answer.clone();
        async move {
            while let Some(head) = wire.head().await {
                wire.body(&head).await;
                wire.send(&answer).await;
            }
        }
    })
    .await
}

/// A service that never answers, and says when it has been asked and when the connection has been closed on it.
async fn silent() -> (SocketAddr, Arc<Notify>, oneshot::Receiver<()>) {
    let asked = Arc::new(Notify::new());
    let (closed, closing) = oneshot::channel();
    let closed = Arc::new(std::sync::Mutex::new(Some(closed)));
    let told = asked.clone();
    let address = service(move |mut wire: Wire| {
        let (told, closed) = (told.clone(), closed.clone());
        async move {
            if wire.head().await.is_none() {
                return;
            }
            told.notify_one();
            // No other request comes on it, so what comes is its end.
            assert_eq!(wire.head().await, None);
            if let Some(closed) = closed.lock().unwrap().take() {
                let _ = closed.send(());
            }
        }
    })
    .await;
    (address, asked, closing)
}

fn document(answer: &world::Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn gw_m5_calls_that_need_nothing_of_each_other_are_under_way_together() {
    let meeting = Arc::new(Barrier::new(3));
    let mut services = Vec::new();
    for name in ["a", "b", "c"] {
        let meeting = meeting.clone();
        let address = service(move |mut wire| {
            let meeting = meeting.clone();
            async move {
                while wire.head().await.is_some() {
                    // Nobody is answered before all three have been asked.
                    meeting.wait().await;
                    wire.send(&answer(200, &format!("{{\"from\":\"{name}\"}}"))).await;
                }
            }
        });
        services.push((name, address.await));
    }
    let compose = json!({ "a": { "get": "a:/x" }, "b": { "get": "b:/x" }, "c": { "get": "c:/x" } });
    let world = world(&services, compose).await;
    let answer = world.get("/orders/7").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(
        document(&answer),
        json!({ "a": { "from": "a" }, "b": { "from": "b" }, "c": { "from": "c" } })
    );
    world.end().await;
}

#[tokio::test]
async fn gw_m5_a_call_waits_for_what_it_refers_to_and_numbers_stay_exact() {
    let (seen, mut heard) = mpsc::unbounded_channel();
    let record = |name: &'static str, body: &'static str| {
        let seen = seen.clone();
        service(move |mut wire| {
            let seen = seen.clone();
            async move {
                while let Some(head) = wire.head().await {
                    let sent = String::from_utf8(wire.body(&head).await).unwrap();
                    let line = head.lines().next().unwrap_or_default().to_owned();
                    seen.send(format!("{name}: {line} {sent}")).unwrap();
                    wire.send(&answer(200, body)).await;
                }
            }
        })
    };
    let services = [
        ("orders", record("orders", r#"{"id":7,"sku":"A 7/x","total":12345678901234567890.10}"#).await),
        ("stock", record("stock", r#"{"available":3.0}"#).await),
        ("prices", record("prices", r#"{"price":0.10}"#).await),
    ];
    let compose = json!({
        "order": { "get": "orders:/orders/{id}", "need": "required" },
        "stock": { "get": "stock:/stock/{order.sku}?full={query.full}", "need": "optional", "on-error": null },
        "price": { "post": "prices:/quote", "body": { "sku": "{order.sku}", "total": "{order.total}", "at": "{stock.available ?? 0}" } },
        "reply": { "$": "order", "availability": "stock.available", "price": "price.price", "for": "order {id}" }
    });
    let world = world(&services, compose).await;
    let answer = world.get("/orders/7?full=1").await;
    assert_eq!(
        answer.text(),
        r#"{"id":7,"sku":"A 7/x","total":12345678901234567890.10,"availability":3.0,"for":"order 7","price":0.10}"#
    );
    assert_eq!(heard.recv().await.unwrap(), "orders: get /orders/7 http/1.1 ");
    assert_eq!(heard.recv().await.unwrap(), "stock: get /stock/a%207%2fx?full=1 http/1.1 ");
    assert_eq!(
        heard.recv().await.unwrap(),
        r#"prices: post /quote http/1.1 {"at":3.0,"sku":"A 7/x","total":12345678901234567890.10}"#
    );
    let asked = world.gateway.explain(&Question { method: "GET", url: "/orders/7", ..Question::default() });
    let levels: Vec<(usize, &str)> =
        asked.calls.iter().map(|call| (call.level, call.call.as_str())).collect();
    assert_eq!(levels, [(0, "order"), (1, "stock"), (2, "price")]);
    world.end().await;
}

#[tokio::test]
async fn gw_m5_a_required_call_that_fails_ends_the_others() {
    let (slow, asked, closed) = silent().await;
    let failing = service(move |mut wire| {
        let asked = asked.clone();
        async move {
            while wire.head().await.is_some() {
                asked.notified().await;
                wire.send(&answer(500, "secret trouble at 10.0.0.7")).await;
            }
        }
    });
    let services = [("slow", slow), ("failing", failing.await)];
    let compose =
        json!({ "a": { "get": "slow:/a" }, "b": { "get": "failing:/b" }, "c": { "get": "slow:/{a.x}" } });
    let world = world(&services, compose).await;
    let answer = world.get("/orders/7").await;
    assert_eq!((answer.status, answer.header("content-type")), (502, Some("application/problem+json")));
    let said = document(&answer);
    assert_eq!(said["errors"][0]["name"], "b");
    assert_eq!(said["errors"][0]["status"], 500);
    assert!(!answer.text().contains("secret") && !answer.text().contains("failing"), "{}", answer.text());
    tokio::time::timeout(SOON, closed).await.unwrap().unwrap();
    world.end().await;
}

#[tokio::test]
async fn gw_m5_what_stands_in_for_an_optional_call_is_what_the_file_says() {
    let services = [
        ("good", says(200, r#"{"x":1}"#).await),
        ("bad", says(500, "no").await),
        ("none", says(404, "").await),
    ];
    let missing = |status: u16, detail: &str| json!([{ "name": "b", "status": status, "detail": detail }]);
    let answered = "it was answered with this status";
    for (of, otherwise, status, want) in [
        ("bad", json!({}), 200, json!({ "x": 1, "errors": missing(500, answered) })),
        ("bad", json!({ "on-error": "omit" }), 200, json!({ "x": 1, "errors": missing(500, answered) })),
        (
            "bad",
            json!({ "on-error": null }),
            200,
            json!({ "x": 1, "b": null, "errors": missing(500, answered) }),
        ),
        (
            "bad",
            json!({ "default": { "y": 0 } }),
            200,
            json!({ "x": 1, "b": 0, "errors": missing(500, answered) }),
        ),
        ("bad", json!({ "on-error": "fail" }), 502, json!(null)),
        ("none", json!({ "on-error": "fail" }), 200, json!({ "x": 1, "errors": missing(404, answered) })),
        (
            "nobody",
            json!({}),
            200,
            json!({ "x": 1, "errors": missing(503, "it is not available at the moment") }),
        ),
    ] {
        let mut call = json!({ "get": format!("{of}:/b"), "need": "optional" });
        call.as_object_mut().unwrap().extend(otherwise.as_object().unwrap().clone());
        let compose = json!({ "a": { "get": "good:/a" }, "b": call, "reply": { "$": "a", "b": "b.y" } });
        let world = world(&services, compose).await;
        let answer = world.get("/orders/7").await;
        assert_eq!(answer.status, status, "{of} {otherwise}");
        if status == 200 {
            assert_eq!(document(&answer), want, "{of} {otherwise}");
            assert_eq!(
                (answer.header("dozen-missing"), answer.header("cache-control")),
                (Some("b"), Some("no-store"))
            );
        }
        world.end().await;
    }
}

#[tokio::test]
async fn gw_m5_what_is_too_large_too_slow_or_no_json_has_failed() {
    let (slow, ..) = silent().await;
    let large = format!("[{}1]", "1,".repeat(3000));
    let services = [
        ("good", says(200, r#"{"x":1}"#).await),
        ("large", says(200, &large).await),
        ("half", says(200, "{\"x\":").await),
        ("html", says(200, "<html>").await),
        ("empty", says(204, "").await),
        ("moved", says(302, "").await),
        ("away", nowhere().await),
        ("slow", slow),
    ];
    let compose = json!({
        "a": { "get": "good:/a" },
        "large": { "get": "large:/", "need": "optional", "max": "4KiB" },
        "half": { "get": "half:/", "need": "optional" },
        "html": { "get": "html:/", "need": "optional" },
        "empty": { "get": "empty:/", "need": "optional" },
        "moved": { "get": "moved:/", "need": "optional" },
        "away": { "get": "away:/", "need": "optional" },
        "slow": { "get": "slow:/", "need": "optional", "timeout": "50ms" },
        "after": { "get": "good:/{slow.x}", "need": "optional" },
        "status": { "partial": 206 }
    });
    let world = world(&services, compose).await;
    let answer = world.get("/orders/7").await;
    assert_eq!(answer.status, 206);
    let said = document(&answer);
    let errors = said["errors"].as_array().unwrap().iter();
    let mut errors: Vec<String> = errors.map(|one| format!("{} {}", one["name"], one["status"])).collect();
    errors.sort();
    let want = ["after 424", "away 502", "half 502", "html 502", "large 502", "moved 302", "slow 504"];
    let want =
        want.map(|one| format!("\"{}\" {}", one.split(' ').next().unwrap(), one.split(' ').nth(1).unwrap()));
    assert_eq!(errors, want);
    assert_eq!((&said["a"], &said["empty"], said.get("large")), (&json!({ "x": 1 }), &Value::Null, None));
    world.end().await;
}

#[tokio::test]
async fn all_answers_together_have_a_bound_too() {
    let large = format!("[{}1]", "1,".repeat(3000));
    let services = [("large", says(200, &large).await)];
    let call = json!({ "get": "large:/", "need": "optional" });
    let compose = json!({ "a": call, "b": call, "c": call, "max": "13KB" });
    let world = world(&services, compose).await;
    let said = document(&world.get("/orders/7").await);
    assert_eq!(said["errors"].as_array().unwrap().len(), 1, "{said}");
    assert_eq!(said["errors"][0]["detail"], "the answer is too large");
    world.end().await;
}

#[tokio::test]
async fn gw_m5_one_deadline_is_over_all_calls_and_is_told_to_them() {
    let (seen, mut heard) = mpsc::unbounded_channel();
    let slow = service(move |mut wire: Wire| {
        let seen = seen.clone();
        async move {
            if let Some(head) = wire.head().await {
                let left = world::header(&head, "dozen-deadline").unwrap().parse::<u64>().unwrap();
                seen.send(left).unwrap();
                let _ = wire.head().await;
            }
        }
    });
    let services = [("good", says(200, r#"{"x":1}"#).await), ("slow", slow.await)];
    let first = json!({ "a": { "get": "good:/" }, "b": { "get": "slow:/{a.x}", "timeout": "1h" }, "deadline": "100ms" });
    let one = world(&services, first).await;
    let answer = one.get("/orders/7").await;
    assert_eq!((answer.status, &document(&answer)["errors"][0]["name"]), (504, &json!("b")));
    assert!(heard.recv().await.unwrap() <= 100);
    one.end().await;
    // What is there in time is sent, also when the route or the client says when it is cut.
    let compose = json!({ "a": { "get": "good:/" }, "b": { "get": "slow:/", "need": "optional" } });
    let other = world(&services, compose).await;
    let request = "GET /orders/7 HTTP/1.1\r\nhost: shop.example\r\ndozen-deadline: 200\r\n\r\n";
    let answer = other.ask(request).await;
    assert_eq!((answer.status, answer.header("dozen-missing")), (200, Some("b")));
    assert!(heard.recv().await.unwrap() <= 200);
    other.end().await;
}

#[tokio::test]
async fn the_access_log_has_the_attempts_of_all_calls() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.jsonl");
    let (slow, asked, closed) = silent().await;
    let registry = Registry::default();
    for (name, address) in [("good", says(200, r#"{"x":1}"#).await), ("slow", slow)] {
        registry.set(name, &[address]);
    }
    let route = |path: &str, compose: Value| -> RouteOptions {
        serde_json::from_value(json!({ "match": { "path": path }, "compose": compose })).unwrap()
    };
    let two = json!({ "a": { "get": "good:/" }, "b": { "get": "good:/{a.x}" } });
    let late = json!({ "a": { "get": "slow:/" } });
    let mut options = options(vec![route("/two", two), route("/late", late)]);
    options.access_log =
        Some(AccessLogOptions { to: path.to_str().unwrap().into(), query: QueryShown::Hidden });
    let world = World::start(options, registry).await;
    assert_eq!(world.get("/two").await.status, 200);
    // A client that goes away leaves a line, too.
    let mut client = world.connect().await;
    client.send("GET /late HTTP/1.1\r\nhost: shop.example\r\n\r\n").await;
    asked.notified().await;
    drop(client);
    closed.await.unwrap();
    world.end().await;
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut seen: Vec<_> = lines.map(|line| (line["path"].to_string(), line["attempts"].clone())).collect();
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(seen, [("\"/late\"".to_owned(), json!(1)), ("\"/two\"".to_owned(), json!(2))]);
}

#[tokio::test]
async fn headers_travel_as_far_as_the_file_says() {
    let (seen, mut heard) = mpsc::unbounded_channel();
    let echo = service(move |mut wire| {
        let seen = seen.clone();
        async move {
            while let Some(head) = wire.head().await {
                seen.send(head).unwrap();
                let body = "{\"x\":1}";
                let fields = "etag: \"e\"\r\nset-cookie: secret=1\r\nx-inner: 10.0.0.7";
                wire.send(&format!(
                    "HTTP/1.1 201 So\r\n{fields}\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                ))
                .await;
            }
        }
    });
    let compose = json!({
        "a": { "get": "echo:/a", "headers": { "x-order": "{id}", "x-none": "{query.none}" }, "pass-back": ["etag"] },
        "b": { "get": "echo:/b?x={a.x}" },
        "pass": ["authorization"],
        "status": { "complete": "a" }
    });
    let world = world(&[("echo", echo.await)], compose).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let answer = world
        .ask(&format!(
            "GET /orders/7 HTTP/1.1\r\nhost: shop.example\r\nauthorization: Bearer t\r\ncookie: c=1\r\ntracestate: v=1\r\n\
             traceparent: 00-{trace}-00f067aa0ba902b7-01\r\n\r\n"
        ))
        .await;
    assert_eq!((answer.status, answer.header("etag")), (201, Some("\"e\"")));
    assert!(answer.header("set-cookie").is_none() && answer.header("x-inner").is_none(), "{}", answer.head);
    let mut steps = Vec::new();
    for call in ["a", "b"] {
        let head = heard.recv().await.unwrap();
        assert!(head.starts_with(&format!("get /{call}")), "{head}");
        assert_eq!(world::header(&head, "authorization"), Some("bearer t"));
        assert_eq!((world::header(&head, "cookie"), world::header(&head, "tracestate")), (None, Some("v=1")));
        assert!(world::header(&head, "x-forwarded-for").is_some());
        let parent = world::header(&head, "traceparent").unwrap().to_owned();
        assert!(
            parent.starts_with(&format!("00-{trace}-")) && !parent.contains("00f067aa0ba902b7"),
            "{parent}"
        );
        steps.push(parent);
        let own = (call == "a").then_some("7");
        assert_eq!((world::header(&head, "x-order"), world::header(&head, "x-none")), (own, None));
    }
    assert_ne!(steps[0], steps[1]);
    world.end().await;
}

#[tokio::test]
async fn gw_m5_the_status_of_a_failure_follows_the_table() {
    let (slow, ..) = silent().await;
    let services = [
        ("none", says(404, "").await),
        ("html", says(200, "<").await),
        ("moved", says(301, "").await),
        ("slow", slow),
    ];
    for (of, table, own, want) in [
        ("none", json!({}), json!({}), 502),
        ("none", json!({}), json!({ "status": "pass" }), 404),
        ("none", json!({ "answered": "pass" }), json!({}), 404),
        ("none", json!({ "answered": "pass" }), json!({ "status": 410 }), 410),
        ("moved", json!({ "answered": "pass" }), json!({}), 502),
        ("html", json!({ "broken": 500 }), json!({}), 500),
        ("nobody", json!({}), json!({}), 503),
        ("nobody", json!({ "unavailable": 500 }), json!({}), 500),
        ("slow", json!({}), json!({ "timeout": "20ms" }), 504),
        ("slow", json!({ "late": 503 }), json!({ "timeout": "20ms" }), 503),
    ] {
        let mut call = json!({ "get": format!("{of}:/b") });
        call.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        let world = world(&services, json!({ "a": call, "status": table })).await;
        assert_eq!(world.get("/orders/7").await.status, want, "{of} {table} {own}");
        world.end().await;
    }
}

#[tokio::test]
async fn the_body_of_the_request_can_be_referred_to() {
    let services = [("prices", says(200, r#"{"price":"1.20"}"#).await)];
    let compose = json!({
        "price": { "post": "prices:/quote", "body": { "sku": "{body.item.sku}" } },
        "map": {
            "amount": { "from": "price.price", "as": "money(EUR)", "required": true }
        }
    });
    let world = world(&services, compose).await;
    let post = |body: &str| {
        format!(
            "POST /orders/7 HTTP/1.1\r\nhost: shop.example\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let answer = world.ask(&post(r#"{"item":{"sku":"a"}}"#)).await;
    assert_eq!(answer.text(), r#"{"amount":{"amount":"1.20","currency":"EUR"}}"#);
    for wrong in ["{}", "no json", ""] {
        assert_eq!(world.ask(&post(wrong)).await.status, 400, "{wrong}");
    }
    world.end().await;
}

#[tokio::test]
async fn an_instance_that_accepts_no_connection_is_passed_over() {
    let registry = Registry::default();
    registry.set("stock", &[nowhere().await, says(200, "1").await]);
    let compose = json!({ "match": { "path": "/x" }, "compose": { "a": { "post": "stock:/", "body": 1 }, "reply": "a" } });
    let world = World::start(options(vec![serde_json::from_value(compose).unwrap()]), registry).await;
    for _ in 0..4 {
        assert_eq!(world.get("/x").await.text(), "1");
    }
    world.end().await;
}

/// The median of what an exchange takes on one connection.
async fn typical(world: &World, path: &str) -> Duration {
    let mut wire = world.connect().await;
    let mut took = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        wire.send(&format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\n\r\n")).await;
        assert_eq!(wire.answer(false).await.status, 200);
        took.push(begun.elapsed());
    }
    took.sort();
    took[took.len() / 2]
}

/// Guarded for builds without optimisation; what it costs with it is measured by hand: at most 200 µs.
#[tokio::test]
async fn composing_costs_little_beside_asking_once() {
    let registry = Registry::default();
    registry.set("good", &[says(200, r#"{"id":7,"sku":"A7","lines":[1,2,3]}"#).await]);
    let call = json!({ "get": "good:/{id}" });
    let routes: Vec<RouteOptions> = serde_json::from_value(json!([
        { "match": { "path": "/one/{id}" }, "to": "good" },
        { "match": { "path": "/three/{id}" }, "compose": { "a": call, "b": call, "c": call, "reply": { "$": "a", "b": "b.sku", "c": "c" } } },
    ]))
    .unwrap();
    let world = World::start(options(routes), registry).await;
    let (one, three) = (typical(&world, "/one/7").await, typical(&world, "/three/7").await);
    println!("one {one:?}, composed of three {three:?}");
    assert!(three < one + Duration::from_millis(20), "one {one:?}, composed of three {three:?}");
    world.end().await;
}

#[tokio::test]
async fn a_client_in_a_hurry_has_no_instance_taken_for_dead() {
    let ((one, ..), (other, ..)) = (silent().await, silent().await);
    let registry = Registry::default();
    registry.set("a", &[one, other]);
    let compose = json!({ "a": { "get": "a:/x" }, "deadline": "10s" });
    let route = json!({ "match": { "path": "/orders/{id}" }, "compose": compose });
    let world = World::start(options(vec![serde_json::from_value(route).unwrap()]), registry).await;
    let hurried = |ms: u32| format!("GET /orders/7 HTTP/1.1\r\nhost: a\r\ndozen-deadline: {ms}\r\n\r\n");
    for ms in [0, 10].repeat(10) {
        assert_eq!(world.ask(&hurried(ms)).await.status, 504);
    }
    let seen = world.gateway.services();
    let endpoints = &seen[0].endpoints;
    assert_eq!(endpoints.len(), 2);
    assert!(endpoints.iter().all(|endpoint| !endpoint.ejected && endpoint.ejections == 0), "{endpoints:?}");
    // What has no time left is not even called.
    assert_eq!(seen[0].totals.requests, 10);
    world.end().await;
}
