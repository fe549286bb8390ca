//! Calling other apps through the sidecar: found, balanced, streamed, and clean of what is private.

mod common;

use std::sync::Arc;

use axum::response::IntoResponse as _;
use common::{App, call, json, start};
use dozen_dataplane::{Body, Client};
use dozen_sidecar::{Options, Secret};
use http::StatusCode;
use http_body_util::BodyExt as _;

fn echo(port: u16) -> App {
    App::start(port, |call| {
        let status = if call.uri.path() == "/teapot" { StatusCode::IM_A_TEAPOT } else { StatusCode::OK };
        (status, [("x-answer", "yes")], call.body.clone()).into_response()
    })
}

#[tokio::test]
async fn a_call_reaches_the_app_with_method_path_query_and_body_and_its_answer_comes_back() {
    let running = start(Options::new("shop", None));
    let mut app = echo(0);
    running.services.set("stock", &[&app.address]);
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let body: &[u8] = if method == "GET" { b"" } else { b"payload" };
        let url = format!("{}/v1.0/invoke/stock/method/items/a%2Fb?x=1&y=%20", running.url);
        let reply = call(method, url, &[], body).await;
        let seen = app.next().await;
        assert_eq!((reply.status, reply.header("x-answer")), (200, Some("yes")));
        assert_eq!(
            (seen.method.as_str(), seen.uri.to_string()),
            (method, "/items/a%2Fb?x=1&y=%20".to_owned())
        );
        assert_eq!(seen.body, body, "{method}");
        assert_eq!(reply.body, body, "{method}");
    }
    let url = format!("{}/v1.0/invoke/stock/method/teapot", running.url);
    assert_eq!(call("POST", url, &[], b"x").await.status, 418, "whatever the app answers comes back");
}

#[tokio::test]
async fn a_header_names_the_app_for_any_path() {
    let running = start(Options::new("shop", None));
    let mut app = echo(0);
    running.services.set("stock", &[&app.address]);
    let named: [(&str, &str); 2] =
        [("dapr-app-id", "stock"), ("authorization", "Basic ZGFwci1hcHAtaWQ6c3RvY2s=")]; // dapr-app-id:stock
    for header in named {
        let reply = call("GET", format!("{}/items/7?full=1", running.url), &[header], b"").await;
        let seen = app.next().await;
        assert_eq!((reply.status, seen.uri.to_string()), (200, "/items/7?full=1".to_owned()));
        assert!(!seen.headers.contains_key("dapr-app-id") && !seen.headers.contains_key("authorization"));
    }
}

#[tokio::test]
async fn private_headers_stay_private_and_the_callers_name_cannot_be_forged() {
    let api_token = Secret::new("s3cret");
    let running = start(Options { api_token, app_token: Secret::new("mine"), ..Options::new("shop", None) });
    let mut app = echo(0);
    running.services.set("stock", &[&app.address]);
    let headers = [
        ("dapr-api-token", "s3cret"),
        ("dapr-caller-app-id", "admin"),
        ("x-forwarded-for", "203.0.113.9"),
        ("authorization", "Bearer mine"),
        ("x-kept", "1"),
    ];
    call("GET", format!("{}/v1.0/invoke/stock/method/x", running.url), &headers, b"").await;
    let seen = app.next().await.headers;
    let value = |name: &str| seen.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(value("dapr-caller-app-id").as_deref(), Some("shop"));
    assert_eq!(value("dapr-callee-app-id").as_deref(), Some("stock"));
    assert_eq!(value("x-forwarded-for").as_deref(), Some("203.0.113.9, 127.0.0.1"));
    assert_eq!(
        (value("authorization").as_deref(), value("x-kept").as_deref()),
        (Some("Bearer mine"), Some("1"))
    );
    assert_eq!(value("host").as_deref(), Some(app.address.as_str()));
    assert!(value("traceparent").is_some(), "a trace begins here");
    assert_eq!(value("dapr-api-token"), None);
}

#[tokio::test]
async fn an_app_calls_itself_with_its_own_token() {
    let mut app = echo(0);
    let options = Options::new("shop", Some(app.address.clone()));
    let running = start(Options { app_token: Secret::new("mine"), ..options });
    call("GET", format!("{}/v1.0/invoke/shop/method/x", running.url), &[], b"").await;
    assert_eq!(app.next().await.headers["dapr-api-token"], "mine");
}

#[tokio::test]
async fn a_dead_instance_is_passed_over_with_the_body_still_whole() {
    let running = start(Options::new("shop", None));
    let mut app = echo(0);
    let dead = format!("127.0.0.1:{}", dozen_harness::free_port());
    running.services.set("stock", &[&dead, &app.address]);
    for _ in 0..8 {
        let body = vec![7u8; 300_000];
        let url = format!("{}/v1.0/invoke/stock/method/x", running.url);
        assert_eq!(call("POST", url, &[], &body).await.body, body);
        assert_eq!(app.next().await.body.len(), 300_000, "and it is called once");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_said_in_daprs_words() {
    let running = start(Options::new("shop", None));
    running.services.set("empty", &[]);
    for (target, status, code, says) in [
        ("nobody", 404, "ERR_DIRECT_INVOKE", "`nobody` is not known"),
        ("empty", 500, "ERR_DIRECT_INVOKE", "no healthy instance"),
        ("http%3A%2F%2Fexample.org", 501, "ERR_API_UNIMPLEMENTED", "absolute URL"),
    ] {
        let reply = call("GET", format!("{}/v1.0/invoke/{target}/method/x", running.url), &[], b"").await;
        assert_eq!(
            (reply.status, &json(&reply)["errorCode"]),
            (status, &code.into()),
            "{target}: {}",
            reply.text()
        );
        assert!(reply.text().contains(says), "{}", reply.text());
    }
}

#[tokio::test]
async fn an_answer_is_passed_on_as_it_comes() {
    let running = start(Options::new("shop", None));
    let (pieces, body) = Body::channel(1);
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let app = App::start(0, move |_| {
        let body = body.lock().unwrap().take().unwrap_or_default();
        ([("content-type", "text/event-stream")], axum::body::Body::new(body)).into_response()
    });
    running.services.set("stock", &[&app.address]);
    let request = http::Request::get("/v1.0/invoke/stock/method/events").body(Body::empty()).unwrap();
    let address = running.url.trim_start_matches("http://");
    let response = Client::new().send(address, request, common::LONG).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    for piece in ["data: 1\n\n", "data: 2\n\n"] {
        pieces.send(Ok(piece.into())).await.unwrap();
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame, piece, "each piece is here before the next is sent");
    }
    drop(pieces);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_name_with_a_namespace_finds_the_app() {
    let running = start(Options::new("shop", None));
    let app = echo(0);
    running.services.set("stock", &[&app.address]);
    let url = format!("{}/v1.0/invoke/stock.default/method/x", running.url);
    assert_eq!(call("GET", url, &[], b"").await.status, 200);
}

#[tokio::test]
async fn calls_go_to_the_instance_with_the_fewest_under_way() {
    let running = start(Options::new("shop", None));
    // Both instances hold every call until as many are there as the test sends.
    let gate = Arc::new(std::sync::Barrier::new(6));
    let hold = |gate: Arc<std::sync::Barrier>| {
        App::start(0, move |_| {
            tokio::task::block_in_place(|| gate.wait());
            StatusCode::OK.into_response()
        })
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_all().build().unwrap();
    let (mut one, mut two) = {
        let _entered = runtime.enter();
        (hold(gate.clone()), hold(gate))
    };
    running.services.set("stock", &[&one.address, &two.address]);
    let url = format!("{}/v1.0/invoke/stock/method/x", running.url);
    let calls: Vec<_> = (0..6).map(|_| tokio::spawn(call_plain(url.clone()))).collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    let mut count = [0, 0];
    while one.calls.try_recv().is_ok() {
        count[0] += 1;
    }
    while two.calls.try_recv().is_ok() {
        count[1] += 1;
    }
    assert_eq!(count, [3, 3]);
    runtime.shutdown_background();
}

async fn call_plain(url: String) -> u16 {
    call("GET", url, &[], b"").await.status
}
