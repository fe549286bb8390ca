//! OB · the relay: from the outbox to a broker that lies elsewhere.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dozen_core::{Backoff, Ids, Message};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_messaging::CircuitState;
use dozen_mission::{DEADLINE, Place, Running, until};
use dozen_outbox::{Inbox, LaneStatus, Outbox, Relay, RelayOptions, Routes};
use dozen_pubsub::{TopicOptions, Topics};
use dozen_store::{ClaimState, Fault, Faulty, Store};

const ORDERS: &str = "topic/orders";

fn topics(store: &Store, bytes_max: u64) -> Topics {
    let options = TopicOptions { bytes_max, ..TopicOptions::default() };
    Topics::new(store, BTreeMap::from([("orders".to_owned(), options)]))
}

/// A sender's store with its outbox, and a store elsewhere.
struct Bench {
    here: Place,
    source: Store,
    outbox: Outbox,
    there: Place,
    target: Store,
}

impl Bench {
    async fn new() -> Self {
        let (here, there) = (Place::new(), Place::new());
        let (source, target) = (here.open().await, there.open().await);
        topics(&source, 1024).declare().await.unwrap();
        let outbox = Outbox::new(&source, "/orders", here.ids());
        Self { here, source, outbox, there, target }
    }

    async fn publish(&self, events: impl IntoIterator<Item = Message>) -> Vec<String> {
        let mut ids = Vec::new();
        for event in events {
            ids.push(event.id.clone());
            self.source.transaction(async |tx| self.outbox.publish(tx, "orders", event).await).await.unwrap();
        }
        ids
    }

    fn keyed(&self, key: &str, number: u32) -> Message {
        self.outbox.event("order.placed", number.to_string()).with_key(key)
    }

    /// A relay from `source` to `target`, whose topic takes 100 bytes.
    fn relay(&self, source: &Store, target: &Store) -> Arc<Relay> {
        relay(source, target, self.here.ids())
    }

    async fn arrived(&self) -> Vec<Message> {
        let entries = self.target.journal().read(&ORDERS.into(), 0, 10_000).await.unwrap();
        entries.into_iter().map(|entry| Message::try_from(entry.record).unwrap()).collect()
    }

    async fn until_arrived(&self, count: usize) {
        until(&self.target, ORDERS, async || self.arrived().await.len() >= count).await;
    }
}

fn relay(source: &Store, target: &Store, ids: Ids) -> Arc<Relay> {
    let options = RelayOptions {
        lease: Duration::from_millis(600),
        backoff: Backoff::new(Duration::from_millis(40), Duration::from_millis(100)),
        ..RelayOptions::default()
    };
    Arc::new(Relay::new("there", source, Routes::All, Arc::new(topics(target, 100)), options, ids))
}

/// A service that its owner can still ask.
struct Shared(Arc<Relay>);

#[async_trait]
impl Service for Shared {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        self.0.clone().run(stop, ready).await
    }
}

fn start(relay: &Arc<Relay>) -> Running {
    Running::start(Shared(relay.clone()))
}

/// The relay's one topic, once `is` holds.
async fn status(relay: &Relay, is: impl Fn(&LaneStatus) -> bool) -> LaneStatus {
    let wait = async {
        loop {
            if let Some(found) = relay.status().await.unwrap().into_iter().find(&is) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("the relay gets there in time")
}

/// A store whose calls fail as `plan` says.
async fn faulty(place: &Place, plan: impl Fn(&'static str) -> Fault + Send + Sync + 'static) -> Store {
    place.open().await.wrapped(|engine| Arc::new(Faulty::new(engine, plan)))
}

#[tokio::test]
async fn ob_m3_a_relay_reads_what_is_published_woken_by_the_commit() {
    let bench = Bench::new().await;
    bench.publish([bench.outbox.event("order.placed", "0")]).await;
    // Another opening of the file, as in another process.
    let relay = bench.relay(&bench.here.open().await, &bench.target);
    let running = start(&relay);
    bench.until_arrived(1).await;
    let mut arrivals = bench.target.journal().changes(ORDERS);
    let mut waits = Vec::new();
    for number in 1..30 {
        arrivals.mark_unchanged();
        bench.publish([bench.outbox.event("order.placed", number.to_string())]).await;
        let committed = Instant::now();
        tokio::time::timeout(DEADLINE, arrivals.changed()).await.unwrap().unwrap();
        waits.push(committed.elapsed());
    }
    waits.sort();
    println!("commit to the relay's destination: p50 {:?}, max {:?}", waits[15], waits[28]);
    assert!(waits[15] < Duration::from_millis(50), "woken, not polled: {waits:?}");
    bench.until_arrived(30).await;
    running.stop().await;
    let numbers: Vec<String> =
        bench.arrived().await.iter().map(|event| String::from_utf8_lossy(&event.data).into_owned()).collect();
    assert_eq!(numbers, (0..30).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn ob_m4_the_relay_publishes_to_any_engine() {
    let bench = Bench::new().await;
    let sent = bench.publish((0..3).map(|number| bench.keyed("k", number))).await;
    let memory = dozen_open::open("memory:").await.unwrap();
    for (name, target) in [("sqlite", &bench.target), ("memory", &memory)] {
        // Each relay has its own name, and so its own place on the topic.
        let routes = Routes::only([("orders", "orders")]);
        let to = Arc::new(topics(target, 100));
        let relay = Relay::new(name, &bench.source, routes, to, RelayOptions::default(), bench.here.ids());
        let running = Running::start(relay);
        let arrived = async || target.journal().read(&ORDERS.into(), 0, 10).await.unwrap();
        until(target, ORDERS, async || arrived().await.len() == 3).await;
        running.stop().await;
        let ids: Vec<String> = arrived().await.into_iter().map(|entry| entry.record.id).collect();
        assert_eq!(ids, sent, "{name}: the same ids, in the order of their key");
    }
}

#[tokio::test]
async fn ob_m6_while_the_destination_is_away_the_event_stays_and_no_attempt_is_used_up() {
    let bench = Bench::new().await;
    let (away, tries) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
    let plan = {
        let (away, tries) = (away.clone(), tries.clone());
        move |call| match call {
            "append" => {
                tries.fetch_add(1, Ordering::SeqCst);
                if away.load(Ordering::SeqCst) { Fault::Before } else { Fault::None }
            }
            _ => Fault::None,
        }
    };
    let target = faulty(&bench.there, plan).await;
    let sent = bench.publish((0..20).map(|number| bench.keyed(&format!("k{}", number % 4), number))).await;
    let relay = bench.relay(&bench.source, &target);
    let running = start(&relay);
    // Longer than a lease: the batch stays in hand because its leases are extended.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let seen = status(&relay, |lane| lane.here.circuit.state == CircuitState::Open).await;
    assert_eq!(seen.backlog, 20);
    assert!(seen.oldest.is_some() && seen.here.circuit.since.is_some());
    assert!(
        seen.here.circuit.error.as_ref().is_some_and(|error| error.contains("fault before append")),
        "{seen:?}"
    );
    let tried = tries.load(Ordering::SeqCst);
    assert!((5..=60).contains(&tried), "neither given up nor hammered at: {tried} in 1.5 s");
    away.store(false, Ordering::SeqCst);
    let arrived = async || target.journal().read(&ORDERS.into(), 0, 100).await.unwrap();
    until(&target, ORDERS, async || arrived().await.len() == 20).await;
    status(&relay, |lane| lane.backlog == 0 && lane.here.circuit.state == CircuitState::Closed).await;
    running.stop().await;
    let mut by_key: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for entry in arrived().await {
        let number = String::from_utf8_lossy(&entry.record.data).parse().unwrap();
        by_key.entry(entry.record.key.unwrap()).or_default().push(number);
    }
    assert!(by_key.len() == 4 && by_key.values().all(|numbers| numbers.is_sorted()), "{by_key:?}");
    for id in sent {
        let sightings = bench.source.journal().find(&id).await.unwrap();
        let claim = sightings[0].readers[0].1.clone().unwrap();
        assert_eq!((claim.state, claim.attempts), (ClaimState::Done, 1), "{claim:?}");
    }
}

#[tokio::test]
async fn what_the_destination_never_takes_is_a_dead_letter_and_holds_only_its_key() {
    let bench = Bench::new().await;
    let large = |key: &str| bench.outbox.event("order.placed", "x".repeat(200)).with_key(key);
    bench
        .publish([
            bench.keyed("good", 1),
            large("bad"),
            bench.keyed("bad", 2),
            bench.keyed("good", 3),
            bench.outbox.event("order.placed", "4"),
        ])
        .await;
    let relay = bench.relay(&bench.source, &bench.target);
    let running = start(&relay);
    bench.until_arrived(3).await;
    let seen = status(&relay, |lane| lane.dead_letters == 1 && lane.backlog == 1).await;
    assert_eq!((seen.here.refused_total, seen.here.failures_total), (1, 0));
    assert_eq!(seen.here.circuit.state, CircuitState::Closed);
    let journal = bench.source.journal();
    let parked = journal.claims(&ORDERS.into(), &relay.reader(), ClaimState::Parked, 0, 10).await.unwrap();
    assert!(parked[0].0.errors[0].error.contains("takes 100 at most"), "{:?}", parked[0].0.errors);
    let discard = dozen_store::Revision::Discard;
    journal.revise(&ORDERS.into(), &relay.reader(), vec![], 1, discard).await.unwrap();
    bench.until_arrived(4).await;
    running.stop().await;
}

#[tokio::test]
async fn a_source_that_fails_is_asked_again_and_nothing_is_lost() {
    let bench = Bench::new().await;
    bench.publish((0..50).map(|number| bench.keyed(&format!("k{}", number % 5), number))).await;
    let calls = AtomicU32::new(0);
    let plan = move |call: &'static str| match call {
        "claim" | "settle" | "extend" => match calls.fetch_add(1, Ordering::SeqCst) % 5 {
            1 => Fault::After,
            3 => Fault::Before,
            _ => Fault::None,
        },
        _ => Fault::None,
    };
    let source = faulty(&bench.here, plan).await;
    let relay = bench.relay(&source, &bench.target);
    let running = start(&relay);
    status(&relay, |lane| lane.backlog == 0).await;
    running.stop().await;
    let arrived: BTreeSet<String> = bench.arrived().await.into_iter().map(|event| event.id).collect();
    assert_eq!(arrived.len(), 50);
}

#[tokio::test]
async fn several_relays_share_the_work_in_the_order_of_keys() {
    let bench = Bench::new().await;
    let relay = |source: &Store| {
        let target = Arc::new(topics(&bench.target, 100));
        Arc::new(Relay::new("there", source, Routes::All, target, RelayOptions::default(), bench.here.ids()))
    };
    let relays: Vec<_> =
        [bench.here.open().await, bench.here.open().await, bench.source.clone()].iter().map(relay).collect();
    let running: Vec<Running> = relays.iter().map(start).collect();
    let sent = bench.publish((0..140).map(|number| bench.keyed(&format!("k{}", number % 7), number))).await;
    bench.until_arrived(sent.len()).await;
    for running in running {
        running.stop().await;
    }
    let mut by_key: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for event in bench.arrived().await {
        let number = String::from_utf8_lossy(&event.data).parse().unwrap();
        by_key.entry(event.key().unwrap().to_owned()).or_default().push(number);
    }
    assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), 140, "each once: none of them died");
    assert!(by_key.values().all(|numbers| numbers.is_sorted()), "{by_key:?}");
}

#[tokio::test]
async fn ob_m7_a_relay_that_is_killed_anywhere_loses_nothing_and_invents_nothing() {
    let bench = Bench::new().await;
    let sent = bench.publish((0..60).map(|number| bench.keyed(&format!("k{}", number % 6), number))).await;
    // Cut at a different call each time, before it and after it; the relay itself is killed as well.
    let plan = |seed: u32| {
        let calls = AtomicU32::new(seed);
        move |call: &'static str| {
            if !matches!(call, "claim" | "append" | "settle") {
                return Fault::None;
            }
            let call = calls.fetch_add(1, Ordering::SeqCst);
            match call % 7 {
                0 => Fault::Before,
                3 => Fault::After,
                _ => Fault::Delay(Duration::from_millis(u64::from(call % 4))),
            }
        }
    };
    for life in 0..12 {
        let (source, target) =
            (faulty(&bench.here, plan(life)).await, faulty(&bench.there, plan(life + 2)).await);
        let running = start(&bench.relay(&source, &target));
        tokio::time::sleep(Duration::from_millis(u64::from(60 + life * 7))).await;
        running.kill().await;
    }
    let (source, target) = (bench.here.open().await, bench.there.open().await);
    let relay = bench.relay(&source, &target);
    let running = start(&relay);
    status(&relay, |lane| lane.backlog == 0).await;
    running.stop().await;
    // At the other end an inbox makes one effect of what came twice.
    let inbox = Inbox::new(&target, "stock", Duration::from_secs(3600));
    let entries = target.journal().read(&ORDERS.into(), 0, 10_000).await.unwrap();
    println!("60 events arrived {} times", entries.len());
    let mut effects = Vec::new();
    for entry in entries {
        let event = Message::try_from(entry.record).unwrap();
        let first = target.transaction(async |tx| inbox.first(tx, &event).await).await.unwrap();
        if first.value {
            effects.push(event.id);
        }
    }
    let (mut sent, mut effects) = (sent, effects);
    sent.sort();
    effects.sort();
    assert_eq!(effects, sent);
}

#[tokio::test]
async fn ob_d3_the_cost_on_the_database_is_known_and_nothing_stays_behind() {
    let bench = Bench::new().await;
    if bench.source.capabilities().engine != "sqlite" {
        return; // it looks at SQLite's own tables
    }
    // Counts calls by their name: a plan that never fails.
    let counts: Arc<Mutex<BTreeMap<&'static str, u32>>> = Arc::default();
    let counting = counts.clone();
    let source = faulty(&bench.here, move |call| {
        *counting.lock().unwrap().entry(call).or_default() += 1;
        Fault::None
    })
    .await;
    let counted = || std::mem::take(&mut *counts.lock().unwrap());
    let relay = bench.relay(&source, &bench.target);
    let running = start(&relay);
    let pages = async || {
        source.select("select page_count from pragma_page_count", []).await.unwrap()[0].integer(0).unwrap()
    };
    let mut sizes = Vec::new();
    for round in 1..=4 {
        counted();
        let stream = TopicOptions::stream("orders");
        for _ in 0..10 {
            let events = (0..200).map(|_| bench.outbox.event("order.placed", "1")).collect();
            bench.source.journal().append(&stream, events).await.unwrap();
        }
        bench.until_arrived(round * 2_000).await;
        let lag = async || source.journal().readers(ORDERS).await.unwrap()[0].lag();
        until(&source, ORDERS, async || lag().await == 0).await;
        let calls = counted();
        println!("2,000 events cost {calls:?}");
        assert!(calls["settle"] <= 60 && calls["claim"] <= 120, "they go by the batch: {calls:?}");
        let all = source.clock().now().after(Duration::from_secs(1));
        while source.journal().trim(&stream, all, None, 1_000).await.unwrap() > 0 {}
        let mine =
            "dozen_entry where place >> 44 = (select stream from dozen_stream where name = 'topic/orders')";
        for rows in [mine, "dozen_claim", "dozen_lease"] {
            let left = source.select(&format!("select count(*) from {rows}"), []).await.unwrap();
            assert_eq!(left[0].integer(0).unwrap(), 0, "{rows}: empty again");
        }
        sizes.push(pages().await);
    }
    assert!(sizes[3] <= sizes[1] * 11 / 10, "what is trimmed is used again: {sizes:?} pages");
    // The hints of the last trimming may still be on their way.
    tokio::time::sleep(Duration::from_millis(500)).await;
    counted();
    tokio::time::sleep(Duration::from_secs(2)).await;
    // A hint may come late, and is followed once; asking again and again would show.
    let idle = counted();
    assert!(idle.values().sum::<u32>() <= 1, "an idle relay asks nothing: {idle:?}");
    running.stop().await;
}

#[tokio::test]
async fn ob_d2_a_relay_shows_its_backlog_age_and_failures() {
    let bench = Bench::new().await;
    bench.publish((0..5).map(|number| bench.keyed("k", number))).await;
    let nowhere = Topics::new(&bench.target, BTreeMap::new());
    let options = RelayOptions { backoff: Backoff::new(DEADLINE, DEADLINE), ..RelayOptions::default() };
    let target = Arc::new(nowhere);
    let relay = Arc::new(Relay::new("there", &bench.source, Routes::All, target, options, bench.here.ids()));
    let running = start(&relay);
    let seen = status(&relay, |lane| lane.here.failures_total == 1).await;
    assert_eq!((seen.topic.as_str(), seen.destination.as_str(), seen.backlog), ("orders", "orders", 5));
    assert_eq!(seen.here.circuit.error.as_deref(), Some("there is no topic `orders`"));
    let json = serde_json::to_string(&seen).unwrap();
    assert!(json.contains(r#""state":"open""#) && json.contains(r#""backlog":5"#), "{json}");
    running.stop().await;
    let readers = bench.source.journal().readers(ORDERS).await.unwrap();
    assert_eq!((readers[0].parked, readers[0].lag()), (0, 5), "a missing topic blames no message");
    assert_eq!(readers[0].leased, 0, "given back when it stopped, for another relay to take at once");
}
