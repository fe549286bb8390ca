//! A translator as an HTTP service, and as a handler of messages.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use dozen_core::{Message, Timestamp, Token};
use dozen_dataplane::{Body, Context, Serve};
use dozen_messaging::{Delivery, Handler, Lease, Publisher, Verdict};
use dozen_metrics::Registry;
use http::StatusCode;
use serde_json::json;

use super::world::{World, compile};
use crate::{Destination, Handled, Metrics, Served, Translators};

fn item() -> serde_json::Value {
    json!({
        "providers": { "erp": {}, "away": {} },
        "translators": {
            "item": { "calls": { "it": { "ask": [{ "provider": "erp", "request": { "path": "/items/{sku}" } }] } } },
            "gone": { "calls": { "it": { "ask": [{ "provider": "away" }] } } }
        }
    })
}

async fn served(
    translators: &Translators,
    name: &str,
    request: http::Request<Body>,
) -> (StatusCode, String, String) {
    let served = Served::new(translators.get(name).unwrap().clone(), 1000);
    let started = std::time::Instant::now();
    let peer = "127.0.0.1:1".parse().unwrap();
    let answer = served.serve(request, Context { worker: 0, peer, tls: None, started, deadline: None }).await;
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    let status = answer.status();
    let body = answer.into_body().collect(10_000).await.unwrap();
    (status, kind, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_route_or_an_invocation_talks_to_the_layer_alone() {
    let world = World::start(Router::new().route("/items/A7", get(|| async { r#"{"left": 3}"# }))).await;
    let translators = world.translators(item());
    let request = |method: &str, target: &str, body: &'static str| {
        http::Request::builder().method(method).uri(target).body(Body::from(body)).unwrap()
    };
    let (ok, json) = (StatusCode::OK, "application/json".to_owned());
    let left = r#"{"left":3}"#.to_owned();
    let wanted = (ok, json, left);
    assert_eq!(served(&translators, "item", request("GET", "/?sku=A7", "")).await, wanted);
    assert_eq!(served(&translators, "item", request("POST", "/", r#"{"sku":"A7"}"#)).await, wanted);
    let (status, kind, body) = served(&translators, "item", request("POST", "/", "{")).await;
    assert_eq!((status, kind.as_str()), (StatusCode::BAD_REQUEST, "application/problem+json"), "{body}");
    let (status, _, body) = served(&translators, "gone", request("GET", "/", "")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("urn:dozen:problem:provider-unavailable"), "{body}");
    let page = Registry::new(vec![Arc::new(Metrics::new(translators))]).render().await;
    for line in [
        r#"dozen_translator_operations_total{translator="item",outcome="answered"} 2"#,
        r#"dozen_translator_operations_total{translator="gone",outcome="unavailable"} 1"#,
        r#"dozen_provider_requests_in_flight{provider="erp"} 0"#,
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    world.end().await;
}

/// What was published, for the test to look at.
#[derive(Default)]
struct Kept(Mutex<Vec<(String, Message)>>);

#[async_trait]
impl Publisher for Kept {
    async fn publish(
        &self,
        destination: &str,
        messages: Vec<Message>,
    ) -> Result<Token, dozen_messaging::Error> {
        let named = messages.into_iter().map(|message| (destination.to_owned(), message));
        self.0.lock().unwrap().extend(named);
        Ok(Token { store: "kept".into(), epoch: 1, position: 1 })
    }
}

fn delivery(data: &'static str) -> Delivery {
    let message =
        Message::new("7", "/erp", "erp.order").with_data(Some("application/xml"), data).with_key("A7");
    let lease = Lease { position: 1, fence: 1, part: 0 };
    Delivery { message, lease, attempts: 1, until: Timestamp(1), stored: Timestamp(0) }
}

#[tokio::test]
async fn a_message_in_their_model_becomes_one_in_ours() {
    let options = json!({ "translators": { "order": {
        "input-format": "xml",
        "map": { "no": { "from": "input.Order.@no", "as": "integer", "required": true } }
    } } });
    let translators = compile(options, &[], None).unwrap();
    let kept = Arc::new(Kept::default());
    let to = Destination { publisher: kept.clone(), name: "orders".into(), kind: "order.placed".into() };
    let handled = Handled::new(translators.get("order").unwrap().clone(), Some(to));
    assert_eq!(handled.handle(&delivery("<Order no=\"42\"/>")).await, Verdict::Done);
    let (topic, made) = kept.0.lock().unwrap().pop().unwrap();
    assert_eq!((topic.as_str(), made.kind.as_str(), made.id.as_str()), ("orders", "order.placed", "7"));
    assert_eq!(
        (made.key(), &made.data[..], made.source.as_str()),
        (Some("A7"), &br#"{"no":42}"#[..], "/translators/order")
    );
    for wrong in ["<Order", "<Order no=\"x\"/>", "<Bill no=\"1\"/>"] {
        let verdict = handled.handle(&delivery(wrong)).await;
        assert!(matches!(&verdict, Verdict::Poison(_)), "{wrong}: {verdict:?}");
    }
    assert!(kept.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_message_for_a_provider_that_is_away_is_tried_again() {
    let translators = compile(item(), &[], None).unwrap();
    let handled = Handled::new(translators.get("gone").unwrap().clone(), None);
    let message = Message::new("1", "/", "x").with_data(None, "{}");
    let verdict = handled.handle(&Delivery { message, ..delivery("") }).await;
    assert!(matches!(&verdict, Verdict::Failed(_) | Verdict::Later(_)), "{verdict:?}");
}
