//! The rows SD-M1 to SD-M5 of the mission, each shown by what a user would see.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{at, ids, registry, settled};
use dozen_core::EndpointSet;
use dozen_dataplane::{Client, Limits, Server};
use dozen_discovery::{Registration, RegistrationOptions, Registry, router};
use dozen_harness::Part;
use tokio::sync::watch;

fn addresses(set: &EndpointSet) -> Vec<&str> {
    set.endpoints.iter().map(|endpoint| endpoint.address.as_str()).collect()
}

/// Waits until the watched set is as wanted. What it waits for is a change, never a time.
async fn until(
    watch: &mut watch::Receiver<Arc<EndpointSet>>,
    wanted: impl Fn(&EndpointSet) -> bool,
) -> Arc<EndpointSet> {
    let seen = tokio::time::timeout(Duration::from_secs(30), watch.wait_for(|set| wanted(set))).await;
    seen.expect("it happens in time").expect("the registry lives").clone()
}

/// A registry behind a real socket.
fn serve(registry: &Arc<Registry>) -> (String, Part) {
    let server =
        Server::bind(([127, 0, 0, 1], 0).into(), Limits::default()).expect("loopback has a free port");
    let address = server.local_addr().to_string();
    (address, Part::start(server.serving(router(registry.clone()))))
}

#[tokio::test]
async fn sd_m1_the_registry_keeps_all_live_instances_and_their_addresses() {
    let (registry, _) = registry();
    registry.declare("legacy", vec![at("legacy-1", "10.0.0.1:80"), at("legacy-2", "10.0.0.2:80")]).unwrap();
    for instance in 0..20 {
        let endpoint = at(&format!("o{instance:02}"), &format!("10.0.1.{instance}:80"));
        registry.register("orders", endpoint, Duration::from_secs(15)).unwrap();
    }
    assert_eq!(registry.services(), ["legacy", "orders"]);
    assert_eq!(addresses(&registry.get("legacy")), ["10.0.0.1:80", "10.0.0.2:80"]);
    let wanted: Vec<String> = (0..20).map(|instance| format!("10.0.1.{instance}:80")).collect();
    assert_eq!(addresses(&registry.get("orders")), wanted);
    registry.deregister("orders", "o07").unwrap();
    assert_eq!(registry.get("orders").endpoints.len(), 19);
}

#[tokio::test]
async fn sd_m2_a_service_registers_itself_at_start_with_address_and_metadata_and_leaves_at_stop() {
    let (registry, _) = registry();
    let (address, _server) = serve(&registry);
    let mut watch = registry.watch("orders");
    let options = RegistrationOptions {
        metadata: [("version".to_owned(), "1.4".to_owned())].into(),
        zone: Some("a".into()),
        weight: 3,
        ..RegistrationOptions::new(address, "orders", "127.0.0.1:7001")
    };
    let instance = Part::start(Arc::new(Registration::new(options, Client::new(), ids())));
    let set = until(&mut watch, |set| !set.endpoints.is_empty()).await;
    let endpoint = &set.endpoints[0];
    assert_eq!((endpoint.address.as_str(), endpoint.weight), ("127.0.0.1:7001", 3));
    assert_eq!((endpoint.zone.as_deref(), endpoint.metadata["version"].as_str()), (Some("a"), "1.4"));
    instance.stop().await.unwrap();
    assert!(registry.get("orders").endpoints.is_empty());
}

#[tokio::test]
async fn sd_m2_a_service_that_starts_before_the_registry_is_seen_when_it_comes() {
    let port = dozen_harness::free_port();
    let options = RegistrationOptions::new(format!("127.0.0.1:{port}"), "orders", "127.0.0.1:7001");
    let _instance = Part::start(Arc::new(Registration::new(options, Client::new(), ids())));
    let (registry, _) = registry();
    let mut watch = registry.watch("orders");
    let server = Server::bind(([127, 0, 0, 1], port).into(), Limits::default()).unwrap();
    let _server = Part::start(server.serving(router(registry.clone())));
    until(&mut watch, |set| set.endpoints.len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn sd_m3_heartbeats_keep_an_instance_and_wake_nobody() {
    let (registry, _) = registry();
    let _upkeep = Part::start(registry.clone());
    registry.register("orders", at("o1", "10.0.0.1:80"), Duration::from_secs(15)).unwrap();
    let watch = registry.watch("orders");
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let lease = registry.heartbeat("orders", "o1").unwrap();
        assert_eq!(lease.heartbeat(), Duration::from_secs(5));
    }
    assert!(!watch.has_changed().unwrap(), "a heartbeat changes nothing");
    assert_eq!(registry.get("orders").endpoints.len(), 1);
}

#[tokio::test]
async fn sd_m3_an_instance_that_the_registry_forgot_is_told_and_registers_again() {
    let (registry, _) = registry();
    let (address, _server) = serve(&registry);
    let mut watch = registry.watch("orders");
    let options = RegistrationOptions {
        ttl: Duration::from_secs(1),
        ..RegistrationOptions::new(address, "orders", "127.0.0.1:7001")
    };
    let _instance = Part::start(Arc::new(Registration::new(options, Client::new(), ids())));
    until(&mut watch, |set| set.endpoints.len() == 1).await;
    registry.deregister("orders", "127.0.0.1:7001").unwrap(); // as a restart of the registry would
    until(&mut watch, |set| set.endpoints.is_empty()).await;
    until(&mut watch, |set| set.endpoints.len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn sd_m4_an_instance_that_misses_its_heartbeats_is_removed_by_itself() {
    let (registry, _) = registry();
    let _upkeep = Part::start(registry.clone());
    let began = tokio::time::Instant::now();
    registry.register("orders", at("long", "10.0.0.1:80"), Duration::from_secs(60)).unwrap();
    registry.register("orders", at("short", "10.0.0.2:80"), Duration::from_secs(2)).unwrap();
    registry.declare("orders", vec![at("declared", "10.0.0.3:80")]).unwrap();
    let mut watch = registry.watch("orders");
    watch.wait_for(|set| set.endpoints.len() == 2).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 2, "at its due time: neither a poll later nor earlier");
    watch.wait_for(|set| set.endpoints.len() == 1).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 60);
    settled(Duration::from_secs(1_000_000)).await;
    assert_eq!(addresses(&registry.get("orders")), ["10.0.0.3:80"], "what is declared never expires");
}

#[tokio::test(start_paused = true)]
async fn sd_m4_a_wall_clock_that_jumps_expires_nobody_and_keeps_nobody() {
    for jump in [-3600i64, 3600] {
        let (registry, clock) = registry();
        let _upkeep = Part::start(registry.clone());
        registry.register("orders", at("o1", "10.0.0.1:80"), Duration::from_secs(15)).unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let now = dozen_core::Clock::now(&*clock);
        clock.set(dozen_core::Timestamp(now.0 + jump * 1_000_000));
        settled(Duration::from_secs(4)).await;
        assert_eq!(registry.get("orders").endpoints.len(), 1, "jump {jump}: expired too early");
        settled(Duration::from_secs(2)).await;
        assert!(registry.get("orders").endpoints.is_empty(), "jump {jump}: stayed beyond its time");
    }
}

#[tokio::test(start_paused = true)]
async fn sd_m4_a_registry_that_was_stopped_itself_blames_nobody() {
    let (registry, _) = registry();
    let _upkeep = Part::start(registry.clone());
    registry.register("orders", at("o1", "10.0.0.1:80"), Duration::from_secs(15)).unwrap();
    settled(Duration::from_secs(5)).await;
    tokio::time::advance(Duration::from_secs(100)).await; // as SIGSTOP and SIGCONT would
    settled(Duration::from_secs(5)).await;
    registry.heartbeat("orders", "o1").expect("it had no chance to be heard");
    settled(Duration::from_secs(16)).await;
    assert!(registry.get("orders").endpoints.is_empty(), "the grace is given once");
}

#[tokio::test]
async fn sd_m5_a_client_asks_for_the_instances_and_is_told_of_changes() {
    let (registry, _) = registry();
    let mut early = registry.watch("orders"); // nobody knows the service yet
    assert!(early.borrow().endpoints.is_empty());
    registry.register("orders", at("o1", "10.0.0.1:80"), Duration::from_secs(15)).unwrap();
    let first = until(&mut early, |set| set.endpoints.len() == 1).await;
    registry.register("orders", at("o2", "10.0.0.2:80"), Duration::from_secs(15)).unwrap();
    let second = until(&mut early, |set| set.endpoints.len() == 2).await;
    assert!(second.version > first.version);
    registry.set_health("orders", "o1", false).unwrap();
    let third = until(&mut early, |set| set.healthy().count() == 1).await;
    assert_eq!(third.endpoints.len(), 2, "an unhealthy instance is seen as such");
    registry.deregister("orders", "o1").unwrap();
    registry.deregister("orders", "o2").unwrap();
    let last = until(&mut early, |set| set.endpoints.is_empty()).await;
    assert!(last.version > third.version);
}

#[tokio::test]
async fn sd_m5_a_client_of_any_language_waits_for_a_change_by_http() {
    let (registry, _) = registry();
    let (address, _server) = serve(&registry);
    let url = format!("http://{address}/dozen/v1/services/orders?version=0&wait=30s");
    let waiting = tokio::task::spawn_blocking(move || dozen_harness::get(&url));
    registry.register("orders", at("o1", "10.0.0.1:80"), Duration::from_secs(15)).unwrap();
    let reply = waiting.await.unwrap().unwrap();
    let set: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &set["endpoints"][0]["address"]), (200, &"10.0.0.1:80".into()));
}
