//! Events to the app: what it sees, what its answers mean, and what happens while it is away.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::response::IntoResponse as _;
use common::{App, Call, Running, call, json, start, start_with, subscribing};
use dozen_core::{Backoff, Message, Timestamp};
use dozen_messaging::{Policy, Publisher as _, Settlement};
use dozen_sidecar::Options;
use http::StatusCode;
use serde_json::{Value, json};

fn quick(address: &str) -> Options {
    let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(5));
    Options { policy: Policy { attempts_max: 3, backoff }, ..Options::new("mail", Some(address.to_owned())) }
}

fn event(id: &str) -> Message {
    Message::new(id, "/orders", "order.placed").with_data(Some("application/json"), r#"{"total":3}"#)
}

async fn publish(running: &Running, topic: &str, message: Message) {
    running.broker.publish(topic, vec![message]).await.expect("the broker takes it");
}

fn status(word: &str) -> axum::response::Response {
    axum::Json(json!({ "status": word })).into_response()
}

/// Publishes one event to an app with these answers, and returns how it ended.
async fn ending(
    wanted: Value,
    answers: impl Fn(&Call) -> axum::response::Response + Send + Sync + 'static,
) -> (Settlement, u32, Running) {
    let app = App::start(0, subscribing(wanted, answers));
    let running = start(quick(&app.address));
    running.broker.prepare("orders", "mail");
    publish(&running, "orders", event("e1")).await;
    for count in 1.. {
        let settled = running.broker.settled("orders", "mail", count).await;
        let (_, settlement, attempts) = settled[count - 1].clone();
        if !matches!(settlement, Settlement::Retry { .. }) {
            return (settlement, attempts, running);
        }
    }
    unreachable!("the loop has no end of its own")
}

fn orders() -> Value {
    json!([{ "pubsubname": "pubsub", "topic": "orders", "route": "/on-order" }])
}

#[tokio::test]
async fn the_app_gets_the_structured_event_on_its_route() {
    let mut app = App::start(0, subscribing(orders(), |_| "null".into_response()));
    let running = start(quick(&app.address));
    running.broker.prepare("orders", "mail");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    publish(&running, "orders", event("e1").with_trace(trace.parse().unwrap())).await;
    let seen = app.next().await;
    assert_eq!((seen.method.as_str(), seen.uri.path()), ("POST", "/on-order"));
    assert_eq!(seen.headers["content-type"], "application/cloudevents+json");
    assert_eq!(seen.headers["traceparent"], trace);
    let body = seen.json();
    assert_eq!(
        (&body["id"], &body["type"], &body["data"]["total"]),
        (&json!("e1"), &json!("order.placed"), &json!(3))
    );
    let settled = running.broker.settled("orders", "mail", 1).await;
    assert_eq!(settled, [("e1".to_owned(), Settlement::Done, 1)]);
}

#[tokio::test]
async fn what_was_published_through_a_sidecar_arrives_through_one() {
    let mut app = App::start(0, subscribing(orders(), |_| StatusCode::NO_CONTENT.into_response()));
    let running = start(quick(&app.address));
    running.broker.prepare("orders", "mail");
    let url = format!("{}/v1.0/publish/pubsub/orders", running.url);
    assert_eq!(call("POST", url, &[("content-type", "application/json")], br#"{"a":1}"#).await.status, 204);
    let body = app.next().await.json();
    assert_eq!(
        (&body["data"]["a"], &body["source"], &body["topic"]),
        (&json!(1), &json!("mail"), &json!("orders"))
    );
}

#[tokio::test]
async fn retry_is_tried_again_and_then_given_up() {
    let (settlement, attempts, _) = ending(orders(), |_| status("RETRY")).await;
    assert_eq!((matches!(settlement, Settlement::Park { .. }), attempts), (true, 3), "{settlement:?}");
    let count = AtomicUsize::new(0);
    let (settlement, attempts, _) = ending(orders(), move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => status("SUCCESS"),
    })
    .await;
    assert_eq!((settlement, attempts), (Settlement::Done, 2));
}

#[tokio::test]
async fn drop_and_404_are_not_tried_again() {
    for answer in ["DROP", "404"] {
        let answers = move |_: &Call| {
            if answer == "404" { StatusCode::NOT_FOUND.into_response() } else { status(answer) }
        };
        let (settlement, attempts, _) = ending(orders(), answers).await;
        assert_eq!(
            (matches!(settlement, Settlement::Drop { .. }), attempts),
            (true, 1),
            "{answer}: {settlement:?}"
        );
    }
}

#[tokio::test]
async fn a_dead_letter_is_published_before_the_event_is_settled() {
    for (answer, tries) in [("DROP", 1), ("RETRY", 3)] {
        let wanted =
            json!([{ "pubsubname": "pubsub", "topic": "orders", "route": "/x", "deadLetterTopic": "dead" }]);
        let (settlement, attempts, running) = ending(wanted, move |_| status(answer)).await;
        assert_eq!((matches!(settlement, Settlement::Drop { .. }), attempts), (true, tries), "{answer}");
        let dead = running.broker.messages("dead");
        assert_eq!((dead.len(), dead[0].id.as_str(), &dead[0].data), (1, "e1", &event("e1").data));
    }
}

#[tokio::test]
async fn a_dead_letter_topic_that_fails_loses_nothing() {
    let wanted =
        json!([{ "pubsubname": "pubsub", "topic": "orders", "route": "/x", "deadLetterTopic": "broken" }]);
    let (settlement, attempts, _) = ending(wanted, |_| status("DROP")).await;
    assert_eq!((matches!(settlement, Settlement::Park { .. }), attempts), (true, 3), "{settlement:?}");
}

#[tokio::test]
async fn an_expired_event_is_not_delivered() {
    let mut app = App::start(0, subscribing(orders(), |_| status("SUCCESS")));
    let running = start(quick(&app.address));
    running.broker.prepare("orders", "mail");
    let mut late = event("late");
    late.extensions.insert("expiration".into(), Timestamp(1).to_string().into());
    publish(&running, "orders", late).await;
    publish(&running, "orders", event("fresh")).await;
    assert_eq!(app.next().await.json()["id"], "fresh");
    let settled = running.broker.settled("orders", "mail", 2).await;
    let (_, of_late, _) = settled.iter().find(|(id, ..)| id == "late").unwrap();
    assert!(matches!(of_late, Settlement::Drop { reason } if reason.contains("expired")), "{of_late:?}");
}

#[tokio::test]
async fn raw_and_bulk_subscriptions_get_their_forms() {
    let wanted = json!([
        { "pubsubname": "pubsub", "topic": "raw", "route": "/raw", "metadata": { "rawPayload": "\"true\"" } },
        { "pubsubname": "pubsub", "topic": "bulk", "route": "/bulk", "bulkSubscribe": { "enabled": true } },
    ]);
    let answers = |call: &Call| match call.uri.path() {
        "/bulk" => {
            let id = call.json()["entries"][0]["entryId"].clone();
            axum::Json(json!({ "statuses": [{ "entryId": id, "status": "SUCCESS" }] })).into_response()
        }
        _ => StatusCode::OK.into_response(),
    };
    let mut app = App::start(0, subscribing(wanted, answers));
    let running = start(quick(&app.address));
    running.broker.prepare("raw", "mail");
    running.broker.prepare("bulk", "mail");
    let url = format!("{}/v1.0/publish/pubsub/raw?metadata.rawPayload=true", running.url);
    call("POST", url, &[("content-type", "text/plain")], b"bytes").await;
    let seen = app.next().await.json();
    assert_eq!((&seen["data_base64"], &seen["type"]), (&json!("Ynl0ZXM="), &json!("com.dapr.event.sent")));
    publish(&running, "bulk", event("e1")).await;
    let seen = app.next().await;
    assert_eq!(seen.headers["content-type"], "application/json");
    let entry = &seen.json()["entries"][0];
    assert_eq!((&entry["entryId"], &entry["event"]["data"]["total"]), (&json!("e1"), &json!(3)));
    let settled = running.broker.settled("bulk", "mail", 1).await;
    assert_eq!(settled[0].1, Settlement::Done);
}

#[tokio::test]
async fn an_app_that_starts_late_and_restarts_gets_every_event_and_no_attempt_is_used_up() {
    let port = dozen_harness::free_port();
    let running = start(quick(&format!("127.0.0.1:{port}")));
    running.broker.prepare("orders", "mail");
    publish(&running, "orders", event("e1")).await;
    let health = async || call("GET", format!("{}/v1.0/healthz", running.url), &[], b"").await.status;
    assert_eq!(health().await, 500, "the app is not there yet");
    let mut app = App::start(port, subscribing(orders(), |_| status("SUCCESS")));
    running.sidecar.app_started();
    assert_eq!(app.next().await.json()["id"], "e1");
    running.broker.settled("orders", "mail", 1).await;
    assert_eq!(health().await, 204);

    app.part.stop().await.unwrap();
    for at in 2..30 {
        publish(&running, "orders", event(&format!("e{at}"))).await;
    }
    while health().await != 500 {} // until it is missed
    let wanted = json!([
        { "pubsubname": "pubsub", "topic": "orders", "route": "/moved" },
        { "pubsubname": "pubsub", "topic": "more", "route": "/more" },
    ]);
    let mut app = App::start(port, subscribing(wanted, |_| status("SUCCESS")));
    for _ in 2..30 {
        assert_eq!(app.next().await.uri.path(), "/moved", "what it subscribes to was read again");
    }
    // Those that waited in the hands of the old subscription came back once, as its route was no longer wanted.
    let settled = running.broker.settled("orders", "mail", 29).await;
    assert!(settled.iter().all(|(.., attempts)| *attempts <= 2), "{settled:?}");
    running.broker.prepare("more", "mail");
    publish(&running, "more", event("m1")).await;
    assert_eq!(app.next().await.uri.path(), "/more");
}

#[tokio::test]
async fn stopping_lets_the_app_finish_and_publish() {
    let (sender, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let release = Arc::new(tokio::sync::Notify::new());
    let gate = release.clone();
    let app = axum::Router::new()
        .route("/dapr/subscribe", axum::routing::get(|| async { axum::Json(orders()) }))
        .route(
            "/on-order",
            axum::routing::post(move || {
                let (sender, gate) = (sender.clone(), gate.clone());
                async move {
                    let _ = sender.send(());
                    gate.notified().await;
                    StatusCode::OK
                }
            }),
        );
    let server = dozen_dataplane::Server::bind(([127, 0, 0, 1], 0).into(), Default::default()).unwrap();
    let running = start(quick(&server.local_addr().to_string()));
    let _app = dozen_harness::Part::start(server.serving(app));
    running.broker.prepare("orders", "mail");
    publish(&running, "orders", event("e1")).await;
    asked.recv().await.unwrap();
    let Running { url, broker, part, sidecar: _sidecar, services: _services } = running;
    let stopping = tokio::spawn(part.stop());
    let reply = call("POST", format!("{url}/v1.0/publish/pubsub/done"), &[], b"x").await;
    assert_eq!(reply.status, 204, "the API is there until the last event is handled");
    release.notify_one();
    stopping.await.unwrap().unwrap();
    assert_eq!(broker.settled("orders", "mail", 1).await[0].1, Settlement::Done);
}

#[tokio::test]
async fn metadata_shows_the_app_its_sidecar() {
    let app = App::start(0, subscribing(orders(), |_| StatusCode::OK.into_response()));
    let running = start(quick(&app.address));
    running.sidecar.app_ready().await;
    let url = |path: &str| format!("{}{path}", running.url);
    assert_eq!(call("PUT", url("/v1.0/metadata/colour"), &[], b"blue").await.status, 204);
    assert_eq!(call("PUT", url("/v1.0/metadata/large"), &[], &[b'x'; 5000]).await.status, 400);
    let shown = json(&call("GET", url("/v1.0/metadata"), &[], b"").await);
    assert_eq!((&shown["id"], &shown["extended"]["colour"]), (&json!("mail"), &json!("blue")));
    assert_eq!(shown["components"][0]["name"], "pubsub");
    assert_eq!(shown["subscriptions"][0]["rules"][0]["path"], "/on-order");
    let health =
        async |appid: &str| call("GET", url(&format!("/v1.0/healthz?appid={appid}")), &[], b"").await.status;
    assert_eq!((health("mail").await, health("other").await), (204, 500));
}

#[tokio::test]
async fn shutdown_calls_back() {
    let (sender, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let running = start_with(Options::new("mail", None), |sidecar| {
        sidecar.on_shutdown(move || {
            let _ = sender.send(());
        })
    });
    assert_eq!(call("POST", format!("{}/v1.0/shutdown", running.url), &[], b"").await.status, 204);
    asked.recv().await.unwrap();
}
