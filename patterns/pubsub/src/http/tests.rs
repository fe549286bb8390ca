//! The description and the router, held against each other; and the patience with slow clients, on a clock of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Ids, SystemClock};
use dozen_messaging::{Publisher as _, TopicSettings};
use dozen_openapi::{Face, document, operations};
use dozen_store::Store;
use tokio_util::sync::CancellationToken;

use super::events::Tail;
use super::{OPENAPI, routes};
use crate::Topics;

#[test]
fn every_route_is_described_and_everything_described_is_a_route() {
    let routed: BTreeSet<(String, String)> =
        routes().iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    let mut described = operations(&document("0", &[OPENAPI]));
    described.retain(|(_, path)| path.starts_with("/dozen/v1/topics"));
    assert_eq!(routed, described);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_too_long_is_cut_and_a_quiet_one_hears_a_comment() {
    let store = Store::new(dozen_memory::Memory::new(), Arc::new(SystemClock));
    let topics = Topics::new(&store, [("orders".to_owned(), TopicSettings::default())].into());
    let ids = Ids::new(Arc::new(SystemClock), 1);
    let face = Face::new(store, ids, None, CancellationToken::new());
    let mut tail = Tail::new(&topics, "orders", None, None, &face).await.unwrap();
    let comment = tail.next().await.unwrap().unwrap();
    assert!(comment.starts_with(": still here\n"), "{comment}");
    topics.publish("orders", vec![dozen_core::Message::new("1", "/a", "t")]).await.unwrap();
    let event = tail.next().await.unwrap().unwrap();
    assert!(event.starts_with("id: ") && event.contains("\"id\":\"1\""), "{event}");
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(tail.next().await.unwrap(), None);
}
