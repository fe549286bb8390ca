//! The HTTP face: what it answers, what it refuses, and that a refusal says what, where and what to do.

mod common;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use common::{at, registry};
use dozen_core::SystemClock;
use dozen_discovery::{Limits, Registry, router};
use dozen_harness::Part;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

struct Answer {
    status: StatusCode,
    kind: String,
    body: Value,
}

async fn call(registry: &Arc<Registry>, method: &str, path: &str, body: impl Into<Body>) -> Answer {
    let request = Request::builder().method(method).uri(path).body(body.into()).expect("a valid request");
    let response = router(registry.clone()).oneshot(request).await.expect("a router always answers");
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().expect("text").to_owned());
    let status = response.status();
    let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
    Answer {
        status,
        kind: kind.unwrap_or_default(),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}

const O1: &str = "/dozen/v1/services/orders/instances/o1";

#[tokio::test]
async fn an_instance_registers_beats_is_seen_and_leaves() {
    let (registry, _) = registry();
    let said =
        json!({"address": "10.0.0.1:80", "zone": "a", "weight": 2, "metadata": {"v": "1"}, "ttl": "9s"});
    let lease = call(&registry, "PUT", O1, said.to_string()).await;
    assert_eq!(lease.status, StatusCode::OK, "{}", lease.body);
    assert_eq!((&lease.body["ttl"], &lease.body["heartbeat"]), (&json!("9s"), &json!("3s")));
    assert_eq!(call(&registry, "POST", &format!("{O1}/heartbeat"), "").await.status, StatusCode::OK);
    let list = call(&registry, "GET", "/dozen/v1/services", "").await.body;
    assert_eq!(
        (&list["services"][0]["service"], &list["services"][0]["healthy"]),
        (&json!("orders"), &json!(1))
    );
    let set = call(&registry, "GET", "/dozen/v1/services/orders?", "").await.body;
    assert_eq!(
        (&set["endpoints"][0]["metadata"]["v"], &set["endpoints"][0]["weight"]),
        (&json!("1"), &json!(2))
    );
    assert_eq!(call(&registry, "DELETE", O1, "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(call(&registry, "DELETE", O1, "").await.status, StatusCode::NO_CONTENT);
    let late = call(&registry, "POST", &format!("{O1}/heartbeat"), "").await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
    assert!(late.body["help"].as_str().unwrap().contains("register again"));
}

#[tokio::test]
async fn the_unhealthy_are_left_out_unless_all_are_asked_for() {
    let (registry, _) = registry();
    registry.declare("orders", vec![at("o1", "10.0.0.1:80"), at("o2", "10.0.0.2:80")]).unwrap();
    registry.set_health("orders", "o1", false).unwrap();
    let count = async |query| {
        let set = call(&registry, "GET", &format!("/dozen/v1/services/orders{query}"), "").await.body;
        set["endpoints"].as_array().unwrap().len()
    };
    assert_eq!((count("").await, count("?all=true").await), (1, 2));
}

#[tokio::test]
async fn a_path_segment_may_be_percent_encoded() {
    let (registry, _) = registry();
    let path = "/dozen/v1/services/orders/instances/10.0.0.1%3A80";
    assert_eq!(call(&registry, "PUT", path, r#"{"address":"10.0.0.1:80"}"#).await.status, StatusCode::OK);
    assert_eq!(registry.get("orders").endpoints[0].id, "10.0.0.1:80");
}

#[tokio::test]
async fn every_refusal_says_what_where_and_what_to_do() {
    let (registry, _) = registry();
    registry.declare("orders", vec![at("fixed", "10.0.0.9:80")]).unwrap();
    let fixed = "/dozen/v1/services/orders/instances/fixed";
    let fine = r#"{"address":"10.0.0.1:80"}"#;
    let large = format!(r#"{{"address":"10.0.0.1:80","metadata":{{"a":"{}"}}}}"#, "x".repeat(9000));
    let huge = "x".repeat(65 * 1024);
    for (method, path, body, status, at, says) in [
        ("PUT", O1, "", 400, "body", "EOF"),
        ("PUT", O1, "{}", 400, "body", "missing field `address`"),
        ("PUT", O1, "{", 400, "body", "line 1"),
        ("PUT", O1, r#"["10.0.0.1:80"]"#, 400, "body", "one JSON object"),
        ("PUT", O1, r#"{"adress":"10.0.0.1:80"}"#, 400, "body", "unknown field `adress`"),
        ("PUT", O1, r#"{"address":"http://10.0.0.1:80"}"#, 400, "address", "host:port"),
        ("PUT", O1, r#"{"address":"10.0.0.1:80","ttl":"15"}"#, 400, "ttl", "duration"),
        ("PUT", O1, r#"{"address":"10.0.0.1:80","ttl":"10ms"}"#, 400, "ttl", "between 1s and 24h"),
        ("PUT", O1, r#"{"address":"10.0.0.1:80","weight":70000}"#, 400, "weight", "65535"),
        ("PUT", O1, &large, 400, "metadata", "9001 bytes"),
        ("PUT", O1, &huge, 413, "body", "65536 bytes"),
        ("PUT", "/dozen/v1/services/a%20b/instances/x", fine, 400, "service", "letters"),
        ("PUT", "/dozen/v1/services/a/instances/%FF", fine, 400, "path", "UTF-8"),
        ("PUT", fixed, fine, 409, "id", "declared"),
        ("DELETE", fixed, "", 409, "id", "declared"),
        ("POST", "/dozen/v1/services/a/instances/x/heartbeat", "", 404, "id", "no instance"),
        ("GET", "/dozen/v1/services/orders?wait=soon", "", 400, "query wait", "soon"),
        ("GET", "/dozen/v1/services/orders?version=-1", "", 400, "query", "version"),
        ("GET", "/dozen/v1/services/orders?al=true", "", 400, "query", "al"),
        ("POST", O1, fine, 405, "path", "POST"),
        ("GET", "/dozen/v1/nothing", "", 404, "path", "/dozen/v1/nothing"),
    ] {
        let answer = call(&registry, method, path, body.to_owned()).await;
        let shown = format!("{method} {path}: {} {}", answer.status, answer.body);
        assert_eq!(
            (answer.status.as_u16(), answer.kind.as_str()),
            (status, "application/problem+json"),
            "{shown}"
        );
        assert_eq!(answer.body["at"], at, "{shown}");
        assert!(answer.body["detail"].as_str().unwrap().contains(says), "{shown}");
        assert!(!answer.body["help"].as_str().unwrap().is_empty(), "{shown}");
    }
    assert_eq!(registry.get("orders").endpoints.len(), 1, "nothing that was refused had an effect");
}

#[tokio::test]
async fn a_full_registry_refuses_the_new_and_keeps_the_old() {
    let limits = Limits { services_max: 2, instances_max: 2, ..Limits::default() };
    let registry = Arc::new(Registry::with_limits(Arc::new(SystemClock), limits));
    let put = async |service: &str, id: &str| {
        let path = format!("/dozen/v1/services/{service}/instances/{id}");
        call(&registry, "PUT", &path, r#"{"address":"10.0.0.1:80"}"#).await.status.as_u16()
    };
    assert_eq!((put("a", "1").await, put("a", "2").await, put("a", "3").await), (200, 200, 503));
    assert_eq!((put("b", "1").await, put("c", "1").await), (200, 503));
    assert_eq!(put("a", "2").await, 200, "what is there can still renew itself");
    registry.deregister("b", "1").unwrap();
    assert_eq!(put("c", "1").await, 200, "an empty service makes room");
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_answers_at_a_change_and_at_its_time() {
    let (registry, _) = registry();
    let began = tokio::time::Instant::now();
    let version = registry.get("orders").version;
    let path = format!("/dozen/v1/services/orders?version={version}&wait=30s");
    let empty = call(&registry, "GET", &path, "").await;
    assert_eq!((empty.status, began.elapsed().as_secs()), (StatusCode::OK, 30));
    let change = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        registry.register("orders", at("o1", "10.0.0.1:80"), Duration::from_secs(15)).unwrap();
    };
    let (answer, ()) = tokio::join!(call(&registry, "GET", &path, ""), change);
    assert_eq!((answer.body["endpoints"].as_array().unwrap().len(), began.elapsed().as_secs()), (1, 35));
}

#[tokio::test(start_paused = true)]
async fn waiting_watchers_are_bounded_and_give_their_place_back() {
    let limits = Limits { watchers_max: 1, ..Limits::default() };
    let registry = Arc::new(Registry::with_limits(Arc::new(SystemClock), limits));
    let path = "/dozen/v1/services/orders?version=0&wait=10s";
    let (one, two) = tokio::join!(call(&registry, "GET", path, ""), call(&registry, "GET", path, ""));
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (200, 503));
    assert_eq!(call(&registry, "GET", path, "").await.status.as_u16(), 200);
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_tells_of_each_change_and_ends_with_the_registry() {
    let (registry, _) = registry();
    let upkeep = Part::start(registry.clone());
    let request = Request::get("/dozen/v1/services/orders").header("accept", "text/event-stream");
    let response = router(registry.clone()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut next = async || {
        let frame = body.frame().await?.unwrap().into_data().unwrap();
        Some(String::from_utf8(frame.to_vec()).unwrap())
    };
    assert!(next().await.unwrap().contains("\"endpoints\":[]"), "first the set as it is");
    registry.register("orders", at("o1", "10.0.0.1:80"), Duration::from_secs(60)).unwrap();
    let event = next().await.unwrap();
    assert!(event.starts_with("event: endpoints\nid: ") && event.ends_with("}\n\n"), "{event}");
    assert!(event.contains("10.0.0.1:80"), "{event}");
    assert_eq!(next().await.unwrap(), ": still here\n\n");
    upkeep.stop().await.unwrap();
    assert_eq!(next().await, None);
}
