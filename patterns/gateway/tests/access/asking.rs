//! Somebody else is asked: the issuer of a token, or a service that decides.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::Form;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use dozen_gateway::auth::Reason;
use serde_json::{Value, json};

use crate::issuer::now;
use crate::world::{entrance, keeper, request, serve};

/// An issuer that knows these tokens, and counts the questions.
fn introspection(known: Value) -> (Router, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let answer = move |headers: HeaderMap, Form(form): Form<HashMap<String, String>>| {
        count.fetch_add(1, Ordering::SeqCst);
        // `shop` and `s3cret/`, escaped and in base64.
        let is_client =
            headers.get("authorization").is_some_and(|value| value == "Basic c2hvcDpzM2NyZXQlMkY=");
        let no = json!({ "active": false });
        let answer = known.get(&form["token"]).cloned().unwrap_or(no);
        async move {
            match is_client {
                true => (StatusCode::OK, Json(answer)),
                false => (StatusCode::UNAUTHORIZED, Json(Value::Null)),
            }
        }
    };
    (Router::new().route("/introspect", post(answer)), asked)
}

#[tokio::test]
async fn an_issuer_is_asked_once_and_its_answer_is_kept() {
    let (router, asked) = introspection(json!({
        "good + 1": { "active": true, "sub": "alice", "client_id": "web", "scope": "read", "exp": now() + 60 },
        "old": { "active": true, "exp": now() - 1 },
        "odd": { "active": "true" },
    }));
    let (url, issuer) = serve(router).await;
    let shared = json!({
        "identity": { "opaque": { "introspect": {
            "url": format!("{url}/introspect"), "client": "shop", "secret": "s3cret/", "consumer": "client_id"
        } } },
        "consumers": { "web": { "plan": "free" } },
        "plans": { "free": {} },
    });
    let keeper = keeper(None);
    let entrance = entrance(
        &keeper,
        shared,
        json!({ "auth": { "any": "opaque", "require": "consumer.plan == 'free'" } }),
    );
    let good = request().bearer("good + 1");
    let pass = good.admitted(&entrance).await.unwrap();
    assert_eq!(pass.identity.subject.as_deref(), Some("alice"));
    assert_eq!(&*pass.identity.consumer.as_ref().unwrap().name, "web");
    assert_eq!(good.status_now(&entrance), 200);
    for (token, reason) in
        [("unknown", Reason::Inactive), ("old", Reason::Expired), ("odd", Reason::Inactive)]
    {
        let wrong = request().bearer(token);
        assert_eq!(wrong.admitted(&entrance).await.unwrap_err().reason, reason, "{token}");
        assert_eq!(wrong.status_now(&entrance), 401);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    issuer.end().await;
    // What is known stays known; what is not cannot be decided.
    assert_eq!(good.status_now(&entrance), 200);
    let refusal = request().bearer("another").admitted(&entrance).await.unwrap_err();
    assert_eq!((refusal.status, refusal.reason), (503, Reason::Unreachable));
}

#[tokio::test]
async fn who_cannot_be_asked_is_passed_by_only_where_the_file_says_so() {
    let nowhere = "http://127.0.0.1:1/x";
    let method = |kind: &str, then: &str| json!({ "identity": { "m": { kind: { "url": nowhere, "on-unreachable": then } } } });
    let route = json!({ "auth": { "any": "m" } });
    let with_rule = json!({ "auth": { "any": "m", "require": "claims.sub == 'alice'" } });
    let keeper = keeper(None);
    let asking = request().bearer("a token");
    for kind in ["introspect", "forward"] {
        let open = entrance(&keeper, method(kind, "allow"), route.clone());
        let closed = entrance(&keeper, method(kind, "deny"), route.clone());
        let ruled = entrance(&keeper, method(kind, "allow"), with_rule.clone());
        assert_eq!(asking.status(&open).await, 200);
        assert_eq!(asking.status(&closed).await, 503);
        assert_eq!(asking.status(&ruled).await, 403, "nobody is alice");
    }
}

#[tokio::test]
async fn a_service_decides_and_its_words_are_passed_on_within_limits() {
    let seen: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let sink = seen.clone();
    let decide = move |headers: HeaderMap| {
        let user = headers.get("x-session").and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
        sink.lock().unwrap().push(headers);
        async move {
            let set = |pairs: &[(&'static str, String)]| {
                pairs.iter().map(|(name, value)| (*name, value.parse().unwrap())).fold(
                    HeaderMap::new(),
                    |mut map, (name, value)| {
                        map.insert(name, value);
                        map
                    },
                )
            };
            match user.as_str() {
                "alice" => (
                    StatusCode::NO_CONTENT,
                    set(&[("x-user", "alice".into()), ("x-internal", "7".into())]),
                    String::new(),
                ),
                "broken" => {
                    (StatusCode::INTERNAL_SERVER_ERROR, HeaderMap::new(), "trace of something".into())
                }
                "long" => (StatusCode::FORBIDDEN, HeaderMap::new(), "x".repeat(100)),
                _ => (
                    StatusCode::FOUND,
                    set(&[("location", "/login".into()), ("x-internal", "7".into())]),
                    "go there".into(),
                ),
            }
        }
    };
    let (url, service) = serve(Router::new().route("/check", get(decide))).await;
    let shared = json!({ "identity": { "session": { "forward": {
        "url": format!("{url}/check"), "headers": ["x-session"], "copy": ["x-user"], "body-max": 50
    } } } });
    let entrance = entrance(&keeper(None), shared, json!({ "auth": { "all": "session" } }));

    let trace = crate::world::trace();
    let pass =
        request().with("x-session", "alice").with("cookie", "private").admitted(&entrance).await.unwrap();
    assert_eq!(pass.identity.fields, [("x-user".into(), "alice".to_owned())]);
    assert!(entrance.strips("X-User") && entrance.strips("dozen-subject") && !entrance.strips("x-other"));
    {
        let seen = seen.lock().unwrap();
        let (shown, hidden) = (&seen[0]["x-forwarded-uri"], seen[0].get("cookie"));
        assert_eq!((shown.to_str().unwrap(), hidden), ("/orders/7", None));
        assert_eq!(seen[0]["x-forwarded-method"], "GET");
        assert_eq!(seen[0]["x-forwarded-for"], "192.0.2.1");
        assert_eq!(
            (&seen[0]["x-forwarded-proto"], &seen[0]["traceparent"]),
            (&"http".parse().unwrap(), &trace.to_string().parse().unwrap())
        );
    }
    let refusal = request().with("x-session", "nobody").admitted(&entrance).await.unwrap_err();
    assert_eq!((refusal.status, refusal.reason), (302, Reason::Forbidden));
    assert_eq!(refusal.fields, [("location", "/login".to_owned())]);
    assert_eq!(&refusal.body.unwrap().bytes[..], b"go there");
    for undecided in ["broken", "long"] {
        let refusal = request().with("x-session", undecided).admitted(&entrance).await.unwrap_err();
        assert_eq!((refusal.status, refusal.body), (503, None), "{undecided}");
    }
    service.end().await;
}

#[tokio::test]
async fn requests_with_one_new_token_ask_once() {
    let (router, asked) = introspection(json!({ "good": { "active": true, "sub": "alice" } }));
    let (url, issuer) = serve(router).await;
    let method = json!({ "url": format!("{url}/introspect"), "client": "shop", "secret": "s3cret/" });
    let shared = json!({ "identity": { "opaque": { "introspect": method } } });
    let entrance = entrance(&keeper(None), shared, json!({ "auth": { "any": "opaque" } }));
    let (good, bad) = (request().bearer("good"), request().bearer("bad"));
    let (yes, no) = tokio::join!(
        futures::future::join_all((0..50).map(|_| good.admitted(&entrance))),
        futures::future::join_all((0..50).map(|_| bad.admitted(&entrance))),
    );
    assert!(yes.iter().all(|pass| pass.as_ref().unwrap().identity.subject.as_deref() == Some("alice")));
    assert!(no.iter().all(|pass| pass.as_ref().unwrap_err().reason == Reason::Inactive));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    issuer.end().await;
}

#[tokio::test]
async fn a_flood_of_tokens_is_told_to_come_back_and_those_that_are_known_pass() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let answer = move |Form(form): Form<HashMap<String, String>>| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            if form["token"].starts_with("made-up") {
                std::future::pending::<()>().await;
            }
            Json(json!({ "active": true }))
        }
    };
    let (url, issuer) = serve(Router::new().route("/introspect", post(answer))).await;
    let shared = json!({ "identity": { "opaque": { "introspect": { "url": format!("{url}/introspect"), "timeout": "20s" } } } });
    let entrance = entrance(&keeper(None), shared, json!({ "auth": { "any": "opaque" } }));
    assert_eq!(request().bearer("known").status(&entrance).await, 200);
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..128 {
        let (made_up, entrance) = (request().bearer(&format!("made-up {number}")), entrance.clone());
        flood.spawn(async move { made_up.admitted(&entrance).await.map(drop) });
    }
    crate::world::until("all places are taken", async || asked.load(Ordering::SeqCst) == 129).await;
    assert_eq!(request().bearer("known").status_now(&entrance), 200);
    let refusal = request().bearer("new").admitted(&entrance).await.unwrap_err();
    assert_eq!((refusal.status, refusal.reason), (503, Reason::Busy));
    assert_eq!(refusal.fields, [("retry-after", "1".to_owned())]);
    // One that waits gets the next place.
    let new = request().bearer("new");
    let (late, ()) = tokio::join!(new.status(&entrance), async { flood.abort_all() });
    assert_eq!(late, 200);
    flood.shutdown().await;
    issuer.end().await;
}
