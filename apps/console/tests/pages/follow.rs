//! The events that pages follow.

use std::time::Duration;

use axum::body::Body;
use futures::StreamExt as _;
use http::StatusCode;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::world::{World, get, message};

async fn follow(world: &World, path: &str) -> axum::response::Response {
    world.router.clone().oneshot(get(path).body(Body::empty()).unwrap()).await.unwrap()
}

fn news(piece: &[u8]) -> Value {
    let text = std::str::from_utf8(piece).unwrap();
    serde_json::from_str(text.strip_prefix("data: ").unwrap().trim_end()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn events_follow_the_store_four_times_a_second_at_most_and_end_with_the_process() {
    let world = World::new();
    world.dead_letter().await;
    let response = follow(&world, "/events?of=queue/").await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.into_body().into_data_stream();
    let first = news(&events.next().await.unwrap().unwrap());
    assert_eq!(first["numbers"]["queue/work:workers:fresh"], 1);
    assert_eq!(first["numbers"]["parked"], 1);
    let began = tokio::time::Instant::now();
    let mut last = first;
    for at in 0..8 {
        world.store.journal().append(&"queue/work".into(), vec![message(&format!("n{at}"))]).await.unwrap();
        last = news(&events.next().await.unwrap().unwrap());
    }
    assert_eq!(last["numbers"]["queue/work:workers:fresh"], 9);
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    world.stop.soft.cancel();
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn too_many_followers_are_refused_and_places_come_back() {
    let world = World::new();
    let mut following = Vec::new();
    for _ in 0..32 {
        let response = follow(&world, "/events").await;
        assert_eq!(response.status(), StatusCode::OK);
        following.push(response);
    }
    assert_eq!(follow(&world, "/events").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    following.clear();
    assert_eq!(follow(&world, "/events").await.status(), StatusCode::OK);
}
