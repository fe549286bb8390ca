//! Keys that come, change, stay away and grow old.

use std::time::Duration;

use dozen_gateway::access::Admission;
use dozen_gateway::auth::Reason;
use serde_json::{Value, json};

use crate::issuer::{Issuer, claims, now};
use crate::world::{Running, entrance, keeper, request, until};

/// A method `web` with keys from `url`.
fn web(url: &str, more: Value) -> Value {
    let mut jwt = json!({ "issuer": "https://id.example", "audience": "shop", "keys": { "url": url } });
    let jwt_members = jwt.as_object_mut().unwrap();
    more.as_object()
        .unwrap()
        .iter()
        .for_each(|(name, value)| drop(jwt_members.insert(name.clone(), value.clone())));
    json!({ "identity": { "web": { "jwt": jwt } } })
}

fn route() -> Value {
    json!({ "auth": { "any": "web", "require": "claims.scope.contains('orders.read')" } })
}

#[tokio::test]
async fn a_token_is_verified_once_and_then_known() {
    let issuer = Issuer::new("one");
    let (url, published) = issuer.publish().await;
    let keeper = keeper(None);
    let entrance = entrance(&keeper, web(&url, json!({})), route());
    let good = request().bearer(&issuer.token("one", &claims()));
    // Nothing is fetched before the keeper runs, and nobody waits for it at the start; the first request does.
    let Admission::Later(waiting) = good.ask(&entrance) else { panic!("the keys are not there yet") };
    let kept = Running::start(keeper.clone()).await;
    let pass = waiting.await.unwrap();
    assert_eq!(pass.identity.subject.as_deref(), Some("alice"));
    assert_eq!(good.status_now(&entrance), 200);
    let health = &keeper.keys_health()[0];
    assert!(
        health.usable && health.keys == 1 && health.problem.is_none() && health.source == url,
        "{health:?}"
    );

    let changed = |change: fn(&mut Value)| {
        let mut claims = claims();
        change(&mut claims);
        request().bearer(&issuer.token("one", &claims))
    };
    for (wrong, reason) in [
        (request(), Reason::Missing),
        (request().with("authorization", "Basic eDp5"), Reason::Missing),
        (good.clone().bearer("x.y.z"), Reason::Malformed),
        (changed(|claims| claims["exp"] = json!(now() - 60)), Reason::Expired),
        (changed(|claims| claims["nbf"] = json!(now() + 60)), Reason::NotYet),
        (changed(|claims| claims["aud"] = json!("others")), Reason::Audience),
        (changed(|claims| claims["iss"] = json!("https://evil.example")), Reason::Issuer),
    ] {
        let refusal = wrong.admitted(&entrance).await.unwrap_err();
        assert_eq!((refusal.status, refusal.reason), (401, reason));
        let (name, challenge) = &refusal.fields[0];
        assert_eq!(*name, "www-authenticate");
        assert!(challenge.starts_with("Bearer"), "{challenge}");
    }
    let refusal = changed(|claims| claims["scope"] = json!("profile")).admitted(&entrance).await.unwrap_err();
    assert_eq!((refusal.status, refusal.reason), (403, Reason::Policy));
    assert_eq!(issuer.fetches(), 1);
    kept.end().await;
    published.end().await;
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it_and_an_old_one_no_longer_opens() {
    let issuer = Issuer::new("one");
    let (url, published) = issuer.publish().await;
    let keeper = keeper(None);
    let entrance = entrance(&keeper, web(&url, json!({ "cool-down": "1ms" })), route());
    let kept = Running::start(keeper).await;
    let old = request().bearer(&issuer.token("one", &claims()));
    assert_eq!(old.status(&entrance).await, 200);
    assert_eq!(old.status_now(&entrance), 200);
    issuer.rotate(&["two"]);
    let new = request().bearer(&issuer.token("two", &claims()));
    // Asked for once the cool-down is over, and not when the keys are old, in ten minutes.
    until("the new key is taken", || async { new.status(&entrance).await == 200 }).await;
    assert_eq!(old.status(&entrance).await, 401, "known before, and its key is gone");
    kept.end().await;
    published.end().await;
}

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_one_fetch_in_each_cool_down() {
    let issuer = Issuer::new("one");
    let (url, published) = issuer.publish().await;
    let keeper = keeper(None);
    let entrance = entrance(
        &keeper,
        web(&url, json!({ "cool-down": "1h", "refresh": "2h", "stale-max": "3h" })),
        route(),
    );
    // All of these come before the first fetch, and wait for the same one.
    let first: Vec<_> = (0..200).map(|at| request().bearer(&Issuer::stranger(&at.to_string()))).collect();
    let waiting: Vec<_> = first
        .iter()
        .map(|request| match request.ask(&entrance) {
            Admission::Later(answer) => answer,
            Admission::Now(_) => panic!("the keys are not there yet"),
        })
        .collect();
    let kept = Running::start(keeper).await;
    for answer in waiting {
        assert_eq!(answer.await.unwrap_err().reason, Reason::UnknownKey);
    }
    assert_eq!(issuer.fetches(), 1);
    for at in 0..1000 {
        assert_eq!(request().bearer(&Issuer::stranger(&at.to_string())).status_now(&entrance), 401);
    }
    assert_eq!(issuer.fetches(), 1);
    assert_eq!(request().bearer(&issuer.token("one", &claims())).status_now(&entrance), 200);
    kept.end().await;
    published.end().await;
}

#[tokio::test]
async fn keys_outlive_their_server_for_a_bounded_time_and_then_nobody_passes() {
    let issuer = Issuer::new("one");
    let (url, published) = issuer.publish().await;
    let keeper = keeper(None);
    let timing = json!({ "cool-down": "20ms", "refresh": "30ms", "stale-max": "1s", "timeout": "200ms" });
    let entrance = entrance(&keeper, web(&url, timing), route());
    let kept = Running::start(keeper.clone()).await;
    let good = request().bearer(&issuer.token("one", &claims()));
    assert_eq!(good.status(&entrance).await, 200);
    published.end().await;
    let failed = || async { keeper.keys_health()[0].problem.is_some() };
    until("the keeper sees that the server is away", failed).await;
    assert_eq!(good.status(&entrance).await, 200, "the keys are not old yet");
    until("the keys are too old", || async { good.status(&entrance).await == 503 }).await;
    let refusal = good.admitted(&entrance).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::KeysAway);
    assert!(!refusal.detail.contains("127.0.0.1") && !keeper.keys_health()[0].usable);
    kept.end().await;
}

#[tokio::test]
async fn keys_from_a_file_are_read_again() {
    let issuer = Issuer::new("one");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, issuer.document().to_string()).unwrap();
    let shared = json!({ "identity": { "web": { "jwt": {
        "audience": "*", "keys": { "file": path }, "cool-down": "1ms", "required": ["sub"]
    } } } });
    let keeper = keeper(None);
    let entrance = entrance(&keeper, shared, json!({ "auth": { "any": ["web"] } }));
    let kept = Running::start(keeper).await;
    assert_eq!(request().bearer(&issuer.token("one", &claims())).status(&entrance).await, 200);
    issuer.rotate(&["one", "two"]);
    std::fs::write(&path, issuer.document().to_string()).unwrap();
    let new = request().bearer(&issuer.token("two", &claims()));
    until("the new key is taken", || async { new.status(&entrance).await == 200 }).await;
    kept.end().await;
}

#[tokio::test]
async fn a_configuration_that_says_the_same_goes_on_with_the_same_keys() {
    let issuer = Issuer::new("one");
    let (url, published) = issuer.publish().await;
    let keeper = keeper(None);
    let before = entrance(&keeper, web(&url, json!({})), route());
    let kept = Running::start(keeper.clone()).await;
    let good = request().bearer(&issuer.token("one", &claims()));
    assert_eq!(good.status(&before).await, 200);
    let after = entrance(&keeper, web(&url, json!({})), route());
    drop(before);
    assert_eq!(good.status_now(&after), 200);
    // Another audience is another method, and still the same source.
    let other = entrance(&keeper, web(&url, json!({ "audience": ["mobile"] })), route());
    assert_eq!(good.status_now(&other), 401);
    assert_eq!(issuer.fetches(), 1);
    drop((after, other));
    // What nobody uses any more is fetched anew when it comes back, though nobody has waited for that yet.
    until("the keeper lets go", || async { keeper.keys_health().is_empty() }).await;
    kept.end().await;
    published.end().await;
}

/// The keeper wakes itself up for a source that is used for the first time while it runs.
#[tokio::test]
async fn a_source_that_comes_later_is_fetched_too() {
    let issuer = Issuer::new("one");
    let (url, published) = issuer.publish().await;
    let keeper = keeper(None);
    let kept = Running::start(keeper.clone()).await;
    let entrance = entrance(&keeper, web(&url, json!({})), route());
    let fetched = || async { keeper.keys_health().iter().any(|health| health.usable) };
    until("the keys are there before anybody asks", fetched).await;
    assert_eq!(request().bearer(&issuer.token("one", &claims())).status_now(&entrance), 200);
    tokio::time::timeout(Duration::from_secs(5), kept.end()).await.unwrap();
    published.end().await;
}
