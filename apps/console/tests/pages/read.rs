//! What the pages and their twins show.

use std::time::Duration;

use axum::body::Body;
use dozen_store::{Ended, Start};
use http::StatusCode;
use serde_json::Value;

use crate::world::{TRACE, World, get, message};

#[tokio::test]
async fn every_page_answers_without_anything_to_show_and_brings_its_policy() {
    let world = World::new();
    for path in [
        "/",
        "/service",
        "/gateway",
        "/queue",
        "/queue/declared",
        "/topic",
        "/topic/orders",
        "/outbox",
        "/feature",
        &format!("/trace/{TRACE}"),
    ] {
        let (status, headers, body) = world.ask(get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        let nonce =
            policy.split("script-src 'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
        assert!(body.contains(&format!("<script nonce=\"{nonce}\">")), "{path}");
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(!body.contains(" style=") && !body.contains("onclick"), "{path}");
        let twin = if path == "/" { "/api".to_owned() } else { format!("/api{path}") };
        world.twin(&twin).await;
    }
}

#[tokio::test]
async fn what_does_not_exist_is_a_404_that_says_so() {
    let world = World::new();
    for path in ["/queue/none", "/topic/none", "/message/none", "/message?id=a%2Fb", "/none"] {
        let (status, body) = world.get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(body.contains("There is no"), "{path}: {body}");
        let (status, _) = world.get(&format!("/api{path}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    let (status, _) = world.get("/trace/xyz").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, headers, _) = world.ask(get("/message?id=%20m1%20").body(Body::empty()).unwrap()).await;
    assert_eq!((status, headers["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/message/m1"));
    let path = format!("/message?id={TRACE}");
    let (_, headers, _) = world.ask(get(&path).body(Body::empty()).unwrap()).await;
    let (_, headers, _) =
        world.ask(get(headers["location"].to_str().unwrap()).body(Body::empty()).unwrap()).await;
    assert_eq!(headers["location"].to_str().unwrap(), format!("/trace/{TRACE}"));
}

#[tokio::test]
async fn everything_shown_is_escaped() {
    let world = World::new();
    world.dead_letter().await;
    let odd = "a/b <i>?";
    world.store.journal().append(&"queue/work".into(), vec![message(odd)]).await.unwrap();
    for path in [
        "/queue/work",
        "/message/m1",
        "/message?id=a%2Fb%20%3Ci%3E%3F",
        "/queue/%3Cscript%3E",
        "/message/%3Cscript%3E",
    ] {
        let (_, body) = world.get(path).await;
        assert!(!body.contains("<script>") && !body.contains("<i>?"), "{path}");
        assert_eq!(body.matches("</pre>").count(), body.matches("<pre>").count(), "{path}");
    }
    let (_, body) = world.get("/queue/work").await;
    assert!(body.contains("&lt;script&gt;alert") && body.contains("/message?id=a%2Fb%20%3Ci%3E%3F"));
}

#[tokio::test]
async fn q_d3_the_journey_goes_from_the_request_to_each_reader() {
    let world = World::new();
    let journal = world.store.journal();
    let topic = "topic/orders".into();
    for reader in ["mail", "stock"] {
        journal.open(&topic, &reader.into(), Start::Earliest).await.unwrap();
    }
    journal.append(&topic, vec![message("m1")]).await.unwrap();
    journal.append(&"queue/work".into(), vec![message("m2")]).await.unwrap();
    let (claimed, _) = journal.claim(&topic, &"mail".into(), 1, Duration::from_secs(30)).await.unwrap();
    world.clock.advance(Duration::from_millis(2));
    journal.settle(&topic, &"mail".into(), vec![(claimed[0].place, Ended::Done)]).await.unwrap();
    let data = world.twin("/api/message/m1").await;
    assert_eq!(data["trace_id"], TRACE);
    assert_eq!(data["journey"]["requests"][0]["path"], "/orders");
    assert_eq!(data["journey"]["stops"][0]["stream"], "topic/orders");
    let whats = |reader: usize| -> Vec<String> {
        let steps = data["journey"]["stops"][0]["readers"][reader]["steps"].as_array().unwrap().clone();
        steps.iter().map(|step| step["what"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(whats(0), ["handed-out", "acknowledged"]);
    assert_eq!(whats(1), ["ahead"]);
    assert_eq!(data["related"][0]["id"], "m2");
    let (_, page) = world.get("/message/m1").await;
    // The request came 3 ms before the message was stored, and 2 ms later one reader was done.
    for text in ["POST /orders", "+3\u{a0}ms", "+5\u{a0}ms", "not looked at yet", "/message/m2"] {
        assert!(page.contains(text), "{text} in {page}");
    }
}

#[tokio::test]
async fn ps_d3_a_subscription_shows_how_far_behind_it_is() {
    let world = World::new();
    let journal = world.store.journal();
    let topic = "topic/orders".into();
    journal.open(&topic, &"mail".into(), Start::Earliest).await.unwrap();
    journal.append(&topic, vec![message("m1"), message("m2")]).await.unwrap();
    world.clock.advance(Duration::from_secs(90));
    let data = world.twin("/api/topic/orders").await;
    let reader = &data["topic"]["readers"][0];
    assert_eq!((&reader["lag"], &reader["lag_seconds"]), (&Value::from(2), &Value::from(90.0)));
    let (_, page) = world.get("/topic/orders").await;
    assert!(page.contains("1\u{a0}min\u{a0}30\u{a0}s") && page.contains("mail:/on-order"), "{page}");
}

#[tokio::test]
async fn ps_d3_the_fan_out_of_an_event_shows_each_subscription_and_what_came_after() {
    let world = World::new();
    let journal = world.store.journal();
    let topic = "topic/orders".into();
    for reader in ["mail", "stock", "audit"] {
        journal.open(&topic, &reader.into(), Start::Earliest).await.unwrap();
    }
    journal.append(&topic, vec![message("m1")]).await.unwrap();
    let (claimed, _) = journal.claim(&topic, &"mail".into(), 1, Duration::from_secs(30)).await.unwrap();
    world.clock.advance(Duration::from_millis(12));
    journal.settle(&topic, &"mail".into(), vec![(claimed[0].place, Ended::Done)]).await.unwrap();
    let (claimed, _) = journal.claim(&topic, &"stock".into(), 1, Duration::from_secs(30)).await.unwrap();
    journal
        .settle(&topic, &"stock".into(), vec![(claimed[0].place, Ended::Parked("no shelf".into()))])
        .await
        .unwrap();
    let work = "queue/work".into();
    journal.open(&work, &"workers".into(), Start::Earliest).await.unwrap();
    journal.append(&work, vec![message("m2")]).await.unwrap();
    let twin = world.twin("/api/message/m1").await;
    let leaves: Vec<(&str, &Value)> = twin["tree"]["message"][0]["readers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|leaf| (leaf["reader"].as_str().unwrap(), &leaf["state"]))
        .collect();
    assert!(leaves.contains(&("mail", &"done".into())), "{leaves:?}");
    assert!(
        leaves.contains(&("stock", &"parked".into())) && leaves.contains(&("audit", &Value::Null)),
        "{leaves:?}"
    );
    let then = &twin["tree"]["then"][0];
    assert_eq!(
        (&then["id"], &then["stream"], &then["readers"][0]["reader"]),
        (&"m2".into(), &"queue/work".into(), &"workers".into())
    );
    let (_, page) = world.get("/message/m1").await;
    for text in ["Fan-out", "a dead letter", "no shelf", "after 12\u{a0}ms", "Then, of the same trace"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    // What was before it did not come from it.
    assert!(world.twin("/api/message/m2").await["tree"]["then"].as_array().unwrap().is_empty());
}
