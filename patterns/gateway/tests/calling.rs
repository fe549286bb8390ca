//! How services are called, as the gateway's options say it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod world;

use std::collections::{BTreeMap, BTreeSet};

use dozen_dataplane::resilience::LimitPolicy;
use dozen_dataplane::{ServicePolicy, Strategy};
use dozen_gateway::limit::Priority;
use dozen_gateway::{RouteOptions, ServiceOptions};
use tokio::io::AsyncWriteExt as _;
use world::{Registry, World, always, echo, options};

fn called(policy: ServicePolicy) -> BTreeMap<String, ServiceOptions> {
    BTreeMap::from([("service".to_owned(), ServiceOptions { policy, ..ServiceOptions::default() })])
}

#[tokio::test]
async fn requests_of_one_key_go_to_one_instance_and_other_keys_to_others() {
    let registry = Registry::default();
    registry.set("service", &[echo("one").await, echo("two").await, echo("three").await]);
    let mut route = RouteOptions::new("/{*rest}", "service");
    route.sticky = Some("header(x-user)".into());
    let mut options = options(vec![route]);
    options.services =
        called(ServicePolicy { strategy: Strategy::ConsistentHash, ..ServicePolicy::default() });
    let world = World::start(options, registry).await;
    let ask = async |request: &str| {
        // With one request under way its instance is full: the bound is a share of what is in flight.
        while world.gateway.services().iter().any(|service| service.in_flight > 0) {
            tokio::task::yield_now().await;
        }
        world.ask(request).await.text()
    };
    let mut seen = BTreeSet::new();
    for user in 0..20 {
        let request = format!("GET /a HTTP/1.1\r\nhost: a\r\nx-user: {user}\r\n\r\n");
        let first = ask(&request).await;
        let instance = first.split_whitespace().next().unwrap().to_owned();
        for _ in 0..3 {
            assert!(ask(&request).await.starts_with(&instance), "{user}: {first}");
        }
        seen.insert(instance);
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
    world.end().await;
}

#[tokio::test]
async fn another_policy_holds_from_the_next_request_on_and_one_that_cannot_work_changes_nothing() {
    let registry = Registry::default();
    let bad = "HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n";
    registry.set("service", &[always(bad).await, echo("good").await]);
    let mut wanted = options(vec![RouteOptions::new("/{*rest}", "service")]);
    let mut policy = ServicePolicy { strategy: Strategy::RoundRobin, ..ServicePolicy::default() };
    wanted.services = called(policy.clone());
    let world = World::start(wanted.clone(), registry).await;
    let statuses = async || {
        let mut statuses = BTreeSet::new();
        for _ in 0..4 {
            statuses.insert(world.get("/a").await.status);
        }
        statuses
    };
    assert_eq!(statuses().await, BTreeSet::from([200, 503]));

    policy.retry = serde_json::from_str(r#"{ "backoff": "1ms" }"#).unwrap();
    wanted.services = called(policy.clone());
    wanted.listen = world.gateway.options().listen;
    let diff = world.gateway.apply(&wanted).unwrap();
    let changed: Vec<_> =
        diff.services_changed.iter().map(|one| (one.service.as_str(), one.keys.join(" "))).collect();
    assert_eq!(changed, [("service", "retry.backoff retry.on".to_owned())]);
    assert_eq!(statuses().await, BTreeSet::from([200]));

    policy.pending_max = 1;
    wanted.services = called(policy);
    let refused = world.gateway.apply(&wanted).unwrap_err().to_string();
    assert_eq!(refused, "service `service`: `pending-max` needs `in-flight-max`: nothing waits otherwise");
    assert_eq!(statuses().await, BTreeSet::from([200]));
    let view = &world.gateway.services()[0];
    assert!(view.service == "service" && view.totals.retries >= 2, "{view:?}");
}

#[tokio::test]
async fn under_pressure_a_route_of_low_priority_is_refused_and_one_of_high_is_not() {
    let registry = Registry::default();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    registry.set("service", &[silent.local_addr().unwrap()]);
    let route = |name: &str, priority| {
        let mut route = RouteOptions::new(format!("/{name}"), "service");
        route.priority = priority;
        route
    };
    let mut options = options(vec![route("low", Priority::Low), route("high", Priority::High)]);
    let limit = LimitPolicy { first: 10, ..LimitPolicy::default() };
    options.services = called(ServicePolicy { limit: Some(limit), ..ServicePolicy::default() });
    let world = World::start(options, registry).await;
    let in_flight = || world.gateway.services().first().map_or(0, |service| service.in_flight);
    let mut under_way = Vec::new();
    for count in 1..=8 {
        let mut client = tokio::net::TcpStream::connect(world.gateway.local_addr()).await.unwrap();
        client.write_all(b"GET /high HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        under_way.push(client);
        while in_flight() < count {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(world.get("/low").await.status, 503);
    let view = &world.gateway.services()[0];
    assert_eq!((view.in_flight, view.totals.shed), (8, 1), "{view:?}");
}
