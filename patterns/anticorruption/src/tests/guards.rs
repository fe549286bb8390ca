//! Fail-over, bulkhead, circuit, deadline and cache.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use http::StatusCode;
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

use super::world::{World, call, value};
use crate::Change;

fn way(provider: &str, method: &str, path: &str) -> serde_json::Value {
    json!({ "provider": provider, "request": { "method": method, "path": path } })
}

#[tokio::test]
async fn the_next_provider_is_asked_only_where_that_does_nothing_twice() {
    let unwell = || async { StatusCode::SERVICE_UNAVAILABLE };
    let router = Router::new()
        .route("/unwell", get(unwell).post(unwell))
        .route("/well", get(|| async { r#"{"from":"second"}"# }).post(|| async { r#"{"from":"second"}"# }))
        .route("/empty", post(|| async { (StatusCode::CONFLICT, r#"{"error":"ask elsewhere"}"#) }));
    let world = World::start(router).await;
    let of = |ask: serde_json::Value| json!({ "calls": { "it": { "ask": ask } } });
    let told = json!({
        "provider": "first", "request": { "method": "POST", "path": "/empty" },
        "errors": [{ "when": "status == 409 && body.error == \"ask elsewhere\"", "next": true }]
    });
    let mut again = way("first", "POST", "/unwell");
    again["request"]["repeatable"] = true.into();
    let translators = world.translators(json!({
        "providers": { "away": {}, "first": {}, "second": {} },
        "translators": {
            "away": of(json!([way("away", "POST", "/well"), way("second", "POST", "/well")])),
            "read": of(json!([way("first", "GET", "/unwell"), way("second", "GET", "/well")])),
            "write": of(json!([way("first", "POST", "/unwell"), way("second", "POST", "/well")])),
            "again": of(json!([again, way("second", "POST", "/well")])),
            "told": of(json!([told, way("second", "POST", "/well")])),
            "nobody": of(json!([way("away", "GET", "/well")]))
        }
    }));
    let second = r#"{"from":"second"}"#;
    assert_eq!(call(&translators, "away", "{}").await, second, "nothing was sent to the first");
    assert_eq!(call(&translators, "read", "{}").await, second);
    assert_eq!(call(&translators, "again", "{}").await, second);
    assert_eq!(call(&translators, "told", "{}").await, second, "the first says so itself");
    let said = call(&translators, "write", "{}").await;
    assert!(said.starts_with("! provider-unavailable 503"), "it may have been done already: {said}");
    assert!(call(&translators, "nobody", "{}").await.starts_with("! provider-unavailable 503"));
    assert_eq!(translators.get("read").unwrap().totals().passed_on, 1);
    world.end().await;
}

#[tokio::test]
async fn a_full_bulkhead_refuses_and_a_deadline_ends_what_hangs() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (telling, waiting) = (entered.clone(), leave.clone());
    let slow = move || {
        let (telling, waiting) = (telling.clone(), waiting.clone());
        async move {
            telling.notify_one();
            waiting.acquire().await.unwrap().forget();
            "{}"
        }
    };
    let world = World::start(Router::new().route("/slow", get(slow))).await;
    let translators = world.translators(json!({
        "providers": { "erp": { "in-flight-max": 1, "pending-max": 0 } },
        "translators": { "slow": { "calls": { "it": { "ask": [way("erp", "GET", "/slow")] } } } }
    }));
    let slow = translators.get("slow").unwrap();
    let first = tokio::spawn({
        let slow = slow.clone();
        async move { slow.call(value("{}")).await }
    });
    entered.notified().await;
    let said = call(&translators, "slow", "{}").await;
    assert!(said.starts_with("! provider-unavailable 503") && said.contains("too many requests"), "{said}");
    leave.add_permits(1);
    assert!(first.await.unwrap().is_ok());
    let late = slow.call_within(value("{}"), Duration::from_millis(50)).await.unwrap_err();
    assert_eq!((&*late.kind, late.status), ("provider-late", 504));
    world.end().await;
}

#[tokio::test]
async fn who_was_never_asked_because_the_others_took_all_the_time_has_not_failed() {
    let world = World::start(Router::new().route("/", get(std::future::pending::<&str>))).await;
    let circuit =
        json!({ "timeout": "1s", "circuit": { "requests-min": 1, "failure-percent": 50, "open": "1h" } });
    let translators = world.translators(json!({
        "providers": { "slow": circuit, "next": circuit },
        "translators": { "it": { "timeout": "200ms", "calls": { "it": { "ask": [
            way("slow", "GET", "/"), way("next", "GET", "/")
        ] } } } }
    }));
    assert!(call(&translators, "it", "{}").await.starts_with("! provider-late 504"));
    let open = |name: &str| {
        let status = translators.providers().into_iter().find(|one| one.name == name).unwrap();
        status.now.is_some_and(|now| now.circuit != dozen_dataplane::resilience::Circuit::Closed)
    };
    assert!(!open("next"), "it has not even been asked");
    world.end().await;
}

#[tokio::test]
async fn a_provider_that_keeps_failing_is_left_alone() {
    let world = World::start(Router::new().route("/", get(|| async { StatusCode::BAD_GATEWAY }))).await;
    let circuit = json!({ "requests-min": 3, "failure-percent": 50, "open": "1h" });
    let translators = world.translators(json!({
        "providers": { "erp": { "circuit": circuit } },
        "translators": {
            "one": { "calls": { "it": { "ask": [way("erp", "GET", "/")] } } },
            "other": { "calls": { "it": { "ask": [way("erp", "GET", "/")] } } }
        }
    }));
    for _ in 0..3 {
        assert!(call(&translators, "one", "{}").await.contains("status 502"));
    }
    let problem = translators.get("other").unwrap().call(value("{}")).await.unwrap_err();
    assert!(problem.retry_after.is_some(), "the circuit is shared by all who ask: {problem}");
    assert_eq!(world.seen(), 3);
    world.end().await;
}

#[tokio::test]
async fn a_provider_that_keeps_failing_is_left_alone_whatever_a_rule_makes_of_it_and_an_opinion_is_no_failure()
 {
    let fault = |code: &str| {
        format!(
            "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><e:Fault><faultcode>e:{code}</faultcode>\
             <faultstring>no</faultstring></e:Fault></e:Body></e:Envelope>"
        )
    };
    let (mine, theirs) = (fault("Server.Timeout"), fault("Client"));
    let with = |body: String| move || async move { (StatusCode::INTERNAL_SERVER_ERROR, body) };
    let router = Router::new()
        .route("/busy", get(|| async { StatusCode::TOO_MANY_REQUESTS }))
        .route("/broken", get(with(mine.clone())))
        .route("/opinion", get(with(mine)))
        .route("/client", get(with(theirs)));
    let world = World::start(router).await;
    let circuit = json!({ "circuit": { "requests-min": 3, "failure-percent": 50, "open": "1h" } });
    let asking = |path: &str, format: &str, when: &str, status: u16| {
        json!({ "calls": { "it": { "ask": [{
            "provider": path, "request": { "path": format!("/{path}") }, "answer": { "format": format },
            "errors": [{ "when": when, "problem": "theirs", "status": status }]
        }] } } })
    };
    let translators = world.translators(json!({
        "providers": { "busy": circuit, "broken": circuit, "opinion": circuit, "client": circuit },
        "translators": {
            "busy": asking("busy", "json", "status == 429", 429),
            "broken": asking("broken", "soap", "fault.code == \"Server.Timeout\"", 502),
            "opinion": asking("opinion", "soap", "fault.code == \"Server.Timeout\"", 404),
            "client": asking("client", "soap", "fault.code == \"Client\"", 502)
        }
    }));
    for (name, is_open) in [("busy", true), ("broken", true), ("opinion", false), ("client", false)] {
        for _ in 0..3 {
            assert!(call(&translators, name, "{}").await.starts_with("! theirs"), "{name}");
        }
        let said = call(&translators, name, "{}").await;
        assert_eq!(said.starts_with("! provider-unavailable 503"), is_open, "{name}: {said}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_rule_that_cannot_be_decided_is_told() {
    let world = World::start(Router::new().route("/", get(|| async { r#"{"left": 3}"# }))).await;
    let translators = world.translators(json!({
        "providers": { "erp": {} },
        "translators": { "stock": { "calls": { "it": { "ask": [{
            "provider": "erp",
            "errors": [
                { "when": "status == 404 && body.code == 1", "problem": "guarded" },
                { "when": "body.eror == \"unknown\"", "problem": "mistyped" }
            ]
        }] } } } }
    }));
    for _ in 0..2 {
        assert_eq!(call(&translators, "stock", "{}").await, r#"{"left":3}"#);
    }
    let report = &translators.get("stock").unwrap().drift()[0];
    let found: Vec<_> =
        report.fields.iter().map(|field| (&*field.path, &field.change, field.count)).collect();
    assert_eq!(found, [("errors[1]", &Change::Undecided, 2)]);
    world.end().await;
}

#[tokio::test]
async fn results_are_kept_and_one_question_serves_all_who_ask_it() {
    let leave = Arc::new(Semaphore::new(0));
    let (entered, waiting) = (Arc::new(Notify::new()), leave.clone());
    let telling = entered.clone();
    let slow = move || {
        let (telling, waiting) = (telling.clone(), waiting.clone());
        async move {
            telling.notify_one();
            waiting.acquire().await.unwrap().forget();
            r#"{"price": 12.30}"#
        }
    };
    let world = World::start(Router::new().route("/", get(slow))).await;
    let translators = world.translators(json!({
        "providers": { "erp": {} },
        "translators": { "price": { "cache": { "for": "1h" }, "calls": { "it": { "ask": [way("erp", "GET", "/")] } } } }
    }));
    let price = translators.get("price").unwrap().clone();
    let inputs = [r#"{"sku":"A","no":1}"#, r#"{"no":1,"sku":"A"}"#];
    let first = tokio::spawn({
        let price = price.clone();
        async move { price.call(value(inputs[0])).await }
    });
    entered.notified().await;
    let second = tokio::spawn({
        let price = price.clone();
        async move { price.call(value(inputs[1])).await }
    });
    while price.totals().cached == 0 {
        tokio::task::yield_now().await;
    }
    // Whoever asked first goes away, and the other one still gets what is on its way.
    first.abort();
    assert!(first.await.is_err());
    leave.add_permits(1);
    assert!(second.await.unwrap().is_ok());
    assert_eq!(call(&translators, "price", inputs[0]).await, r#"{"price":12.30}"#);
    assert_eq!(world.seen(), 1);
    world.end().await;
}
