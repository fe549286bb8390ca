//! A console over invented data, to look at while its pages are worked on: `cargo run -p dozen-console --example look`.
//!
//! It prints its address and stays until it is interrupted; each second another message comes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dozen_console::{Declared, ProcessView, RequestView, RouteView, ServiceView, Sources, SubscriptionView};
use dozen_core::{Clock, Endpoint, EndpointSet, Ids, Message, SystemClock, Timestamp, TraceContext};
use dozen_dataplane::{Limits, Server};
use dozen_lifecycle::{BoxError, Supervisor};
use dozen_memory::Memory;
use dozen_messaging::SubscriptionOptions;
use dozen_pubsub::{TopicOptions, Topics};
use dozen_store::{Ended, Journal, Start, Store};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids = Ids::new(clock.clone(), 7);
    let store = Store::new(Memory::new(), clock.clone());
    let trace = TraceContext::start(&ids);
    let began = clock.now();
    subscribe(&store).await?;
    fill(&store.journal(), &ids, trace).await?;
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], port)), Limits::default())?;
    println!("http://{}/", server.local_addr());
    let mut supervisor = Supervisor::new(Duration::from_secs(2));
    supervisor.start("console", dozen_console::serve(sources(store.clone(), began, trace), server)?);
    let journal = store.journal();
    let report = supervisor
        .run(async {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                () = go_on(&journal, &ids) => {}
            }
        })
        .await;
    if report.is_clean() { Ok(()) } else { Err(format!("{report:?}").into()) }
}

async fn go_on(journal: &Journal, ids: &Ids) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        let message = order(ids, "order-live", TraceContext::start(ids));
        if journal.append(&"queue/invoices".into(), vec![message]).await.is_err() {
            return;
        }
    }
}

fn order(ids: &Ids, key: &str, trace: TraceContext) -> Message {
    Message::new(ids.next().to_string(), "/services/orders", "order.placed")
        .with_key(key)
        .with_trace(trace)
        .with_data(None, r#"{"id":17,"sku":"A-1","total":119.9,"lines":[{"sku":"A-1","count":2}]}"#)
}

async fn subscribe(store: &Store) -> Result<(), BoxError> {
    let topics = Topics::open(store);
    topics.declare_topic("orders", &TopicOptions::default()).await?;
    let filter = Some("data.total > 100".to_owned());
    topics
        .subscription("orders", "mail", SubscriptionOptions { filter, ..SubscriptionOptions::default() })
        .await?;
    topics.subscription("orders", "stock", SubscriptionOptions::default()).await?;
    topics.subscription(">", "audit", SubscriptionOptions::default()).await?;
    topics.pause(">", "audit", true).await?;
    Ok(())
}

async fn fill(journal: &Journal, ids: &Ids, trace: TraceContext) -> Result<(), BoxError> {
    let (invoices, workers) = ("queue/invoices".into(), "workers".into());
    let orders = "topic/orders".into();
    let lease = Duration::from_secs(30);
    journal.open(&invoices, &workers, Start::Earliest).await?;
    let first = order(ids, "order-17", trace);
    journal.append(&orders, vec![first.clone()]).await?;
    journal.append(&invoices, vec![first]).await?;
    for at in 0..5 {
        let message = order(ids, &format!("order-{}", 20 + at), TraceContext::start(ids));
        journal.append(&orders, vec![message.clone()]).await?;
        journal.append(&invoices, vec![message]).await?;
    }
    let (claimed, _) = journal.claim(&orders, &"mail".into(), 3, lease).await?;
    let ends = claimed.iter().map(|claim| (claim.place, Ended::Done)).collect();
    journal.settle(&orders, &"mail".into(), ends).await?;
    let (claimed, _) = journal.claim(&orders, &"stock".into(), 1, lease).await?;
    let later = SystemClock.now().after(Duration::from_secs(90));
    let retry = Ended::Retry { at: later, error: "POST stock:/on-order: connection refused".into() };
    journal.settle(&orders, &"stock".into(), vec![(claimed[0].place, retry)]).await?;
    for attempt in 1..=3 {
        let (claimed, _) = journal.claim(&invoices, &workers, 2, lease).await?;
        tokio::time::sleep(Duration::from_millis(40)).await;
        let now = SystemClock.now();
        let mut ends = Vec::new();
        for claim in &claimed {
            let error =
                format!("POST http://127.0.0.1:7003/invoice: 503, the printer is on fire ({attempt})");
            ends.push((
                claim.place,
                match attempt {
                    3 if claim.record.key.as_deref() == Some("order-17") => Ended::Done,
                    3 => Ended::Parked(error),
                    _ => Ended::Retry { at: now, error },
                },
            ));
        }
        journal.settle(&invoices, &workers, ends).await?;
    }
    journal.claim(&invoices, &workers, 1, lease).await?;
    Ok(())
}

fn sources(store: Store, now: Timestamp, trace: TraceContext) -> Sources {
    let service = |name: &str, healthy: bool, restarts: u64| ServiceView {
        endpoints: Arc::new(EndpointSet {
            service: name.into(),
            version: 1,
            endpoints: vec![Endpoint {
                healthy,
                metadata: BTreeMap::from([("version".into(), "1.4.0".into())]),
                ..Endpoint::at("127.0.0.1:7001")
            }],
        }),
        process: Some(ProcessView {
            command: format!("./{name} --verbose"),
            pid: healthy.then_some(4711),
            state: if healthy { "running".into() } else { "crashed, again in 4 s".into() },
            is_well: healthy,
            restarts,
            since: Some(now),
        }),
        sidecar: Some("127.0.0.1:3501".into()),
    };
    let services = vec![service("orders", true, 0), service("stock", true, 1), service("invoices", false, 7)];
    let request = move |path: &str, status: u16, trace_id: String| RequestView {
        at: Timestamp(now.0 - 3_200),
        took: Some(Duration::from_micros(12_400)),
        method: "POST".into(),
        path: path.into(),
        status: Some(status),
        service: Some("orders".into()),
        trace_id,
    };
    let route = |method: &str, path: &str, target: &str| RouteView {
        method: method.into(),
        host: None,
        path: path.into(),
        target: target.into(),
        policies: vec!["100 a minute per consumer".into(), "timeout 2s".into()],
    };
    let routes =
        vec![route("POST", "/orders", "orders:/orders"), route("GET", "/orders/{id}", "orders:/orders/{id}")];
    let id = trace.trace_id_text();
    let asked = id.clone();
    let declared = |name: &str| Declared {
        name: name.into(),
        settings: vec![("lease".into(), "30s".into()), ("attempts-max".into(), "8".into())],
    };
    let queues = vec![declared("invoices"), declared("parcels")];
    let topics = vec![declared("orders")];
    let subscription = SubscriptionView {
        name: "mail".into(),
        topics: vec!["orders.*".into()],
        to: Some("mail:/on-order".into()),
        filter: Some("event.total > 100".into()),
    };
    Sources {
        services: Arc::new(move || services.clone()),
        routes: Arc::new(move || routes.clone()),
        recent_requests: Arc::new(move |_| {
            vec![request("/orders", 201, id.clone()), request("/orders/9", 404, id.clone())]
        }),
        requests: Arc::new(move |trace_id| {
            if trace_id == asked { vec![request("/orders", 201, asked.clone())] } else { Vec::new() }
        }),
        queues: Arc::new(move || queues.clone()),
        topics: Arc::new(move || topics.clone()),
        subscriptions: Arc::new(move || vec![subscription.clone()]),
        ..Sources::new("shop", store)
    }
}
