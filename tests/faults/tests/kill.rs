//! `kill -9` at random moments, again and again, on one store that lives through all of it.
//!
//! ```text
//! client threads ── POST /orders ──► gateway ──► orders ──┬─► order row
//!  remember which                                         ├─► event ──► push ──► stock
//!  were answered 201                                      └─► invoice to write ──► one of two workers
//!                          ▲ kill -9: dozen and with it everything, or one child, or while it starts; where the store
//!                            is a PostgreSQL server, that one too, under the hands of all of them
//!
//! in the end: start once more, wait until everything is handled, and count
//! ```
//!
//! A kill ends the process between two instructions of its choice and leaves the file as the kernel has it. (It is no
//! power cut: what was written and not synced survives it.)

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dozen_core::Ids;
use dozen_faults::{PATIENCE, Place, Up, ports, program, seeded};
use dozen_harness::{Postgres, post};
use dozen_store::{ClaimState, Store};
use serde_json::{Value, json};

/// Kills in one run, unless `DOZEN_KILLS` says otherwise: of an application on a file, and of one on a server, which takes
/// longer to come back.
const KILLS: u32 = 150;
const KILLS_OF_SERVERS: u32 = 40;
/// Clients that order at the same time, and the articles that they choose from.
const CLIENTS: u64 = 4;
const ARTICLES: u64 = 12;
/// What the shop has of each article before anybody ordered.
const FIRST_STOCK: i64 = 100_000;

/// What a client was told: the order's id, and what was ordered.
type Answered = Arc<Mutex<BTreeMap<String, (String, i64)>>>;

/// The shop, on ports of its own, with its store there.
fn shop(store: &str) -> (Place, u16) {
    let first = ports(10);
    let [gateway, registry, orders, stock, invoices] = [0, 1, 2, 3, 4].map(|at| first + at);
    let sidecars = [6, 7, 8].map(|at| first + at); // two instances of `invoices` stand before them
    let [run_orders, run_stock, run_invoices] =
        ["shop-orders", "shop-stock", "shop-invoices"].map(|name| program(name).display().to_string());
    let yaml = format!(
        r#"
app: shop
store: {store}
registry: {{ listen: "127.0.0.1:{registry}" }}
console: false
api: false
services:
  orders:   {{ run: ["{run_orders}"], port: {orders}, health: /healthz, sidecar: {{ port: {} }} }}
  stock:    {{ run: ["{run_stock}"], port: {stock}, health: /healthz, sidecar: {{ port: {} }} }}
  invoices: {{ run: ["{run_invoices}"], port: {invoices}, instances: 2, health: /healthz, sidecar: {{ port: {} }} }}
gateway:
  listen: 127.0.0.1:{gateway}
  routes: {{ "POST /orders": orders }}
queues:
  invoices: {{ lease: 5s, attempts-max: 8, backoff: 100ms..1s }}
topics:
  orders: {{ key: sku }}
subscriptions:
  stock: {{ topic: orders, to: "stock:/on-order", lease: 5s, backoff: 100ms..1s }}
"#,
        sidecars[0], sidecars[1], sidecars[2]
    );
    (Place::new(&yaml), gateway)
}

/// Clients that order until they are dropped.
struct Load {
    done: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start(gateway: u16, ids: &Ids, answered: &Answered) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let clients = (0..CLIENTS).map(|_| {
            let (done, answered, ids) = (done.clone(), answered.clone(), ids.clone());
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    order(gateway, &ids, &answered);
                }
            })
        });
        Self { threads: clients.collect(), done }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a client does not panic");
        }
    }
}

/// One order; remembered if the shop said that it has it.
fn order(gateway: u16, ids: &Ids, answered: &Answered) {
    let random = ids.random();
    let (sku, quantity) = (format!("article-{}", random % ARTICLES), (random >> 32) as i64 % 3 + 1);
    let body = json!({ "sku": sku, "quantity": quantity }).to_string();
    let Ok(reply) = post(&format!("http://127.0.0.1:{gateway}/orders"), "application/json", body) else {
        std::thread::sleep(Duration::from_millis(1)); // killed under our hands
        return;
    };
    if reply.status == 201 {
        let said: Value = serde_json::from_slice(&reply.body).expect("an answer is JSON");
        let id = said["id"].as_str().expect("an answered order has an id").to_owned();
        let twice = answered.lock().unwrap().insert(id, (sku, quantity));
        assert_eq!(twice, None, "two orders got the same id");
    }
}

/// One life of the shop, and its violent end.
fn round(
    number: u32,
    place: &Place,
    server: Option<&Postgres>,
    gateway: u16,
    ids: &Ids,
    answered: &Answered,
) {
    let between = |from: u64, to: u64| Duration::from_millis(from + ids.random() % (to - from));
    let up = place.up();
    match number % 8 {
        // While it starts.
        3 => {
            std::thread::sleep(between(0, 200));
            up.0.kill9();
        }
        // One child, and a while later everything.
        1 | 5 => {
            let up = up.ready();
            let load = Load::start(gateway, ids, answered);
            std::thread::sleep(between(20, 150));
            let children = place.processes().into_iter().filter(|process| process.service.is_some());
            let children: Vec<_> = children.collect();
            assert!(!children.is_empty(), "a shop that is up has children");
            children[ids.random() as usize % children.len()].kill9();
            std::thread::sleep(between(20, 250));
            up.0.kill9();
            drop(load);
        }
        // The server; the shop lives on, waits for it, and is killed while it works again.
        2 | 6 if let Some(server) = server => {
            let up = up.ready();
            let load = Load::start(gateway, ids, answered);
            std::thread::sleep(between(20, 250));
            server.kill9();
            std::thread::sleep(between(0, 200));
            server.resume().unwrap();
            std::thread::sleep(between(100, 600));
            up.0.kill9();
            drop(load);
        }
        _ => {
            let up = up.ready();
            let load = Load::start(gateway, ids, answered);
            std::thread::sleep(between(50, 400));
            up.0.kill9();
            drop(load);
        }
    }
    // Its children die with it: who lived on would hold its port, and work beside its successor.
    place.wait_until_empty();
}

/// Returns when every queue and subscription has handled all that there is.
async fn drained(store: &Store, up: &Up) {
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        let readers = store.journal().readers("").await.unwrap();
        if readers.iter().all(|reader| reader.lag() == 0) {
            return;
        }
        assert!(Instant::now() < deadline, "still to be handled: {readers:#?}\n{}", up.0.output());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The rows of a query as text and a number.
async fn counted(store: &Store, sql: &str) -> BTreeMap<String, i64> {
    let rows = store.select(sql, []).await.unwrap();
    rows.iter().map(|row| (row.text(0).unwrap().to_owned(), row.integer(1).unwrap())).collect()
}

/// How often each order was announced. Whatever else is among the events, nobody published.
async fn announced(store: &Store) -> BTreeMap<String, i64> {
    let (mut counts, mut after) = (BTreeMap::new(), 0);
    loop {
        let events = store.journal().read(&"topic/orders".into(), after, 5_000).await.unwrap();
        let Some(last) = events.last() else { return counts };
        after = last.position;
        for event in events {
            assert_eq!(event.record.kind, "order.placed", "an event that nobody published");
            let order: Value = serde_json::from_slice(&event.record.data).unwrap();
            *counts.entry(order["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
}

/// How many finished messages of a reader were handed out more than once.
async fn again(store: &Store, stream: &str, reader: &str) -> usize {
    let (journal, stream, reader) = (store.journal(), stream.into(), reader.into());
    let (mut count, mut after) = (0, 0);
    loop {
        let done = journal.claims(&stream, &reader, ClaimState::Done, after, 5_000).await.unwrap();
        let Some((last, _)) = done.last() else { return count };
        after = last.position;
        count += done.iter().filter(|(claim, _)| claim.attempts > 1).count();
    }
}

/// Compares the business rows, the events and the work with each other and with what the clients were told.
async fn check(store: &Store, answered: &BTreeMap<String, (String, i64)>) -> usize {
    let rows = store.select("select id, sku, quantity from orders", []).await.unwrap();
    let orders: BTreeMap<String, (String, i64)> = rows
        .iter()
        .map(|row| (row.text(0).unwrap().into(), (row.text(1).unwrap().into(), row.integer(2).unwrap())))
        .collect();
    for (id, order) in answered {
        assert_eq!(orders.get(id), Some(order), "order {id} was answered with 201");
    }

    let once: BTreeMap<String, i64> = orders.keys().map(|id| (id.clone(), 1)).collect();
    assert_same("events", &announced(store).await, &once);
    let invoices = "select \"order\", count(*) from invoices group by 1";
    assert_same("invoices", &counted(store, invoices).await, &once);

    let mut stock: BTreeMap<String, i64> = BTreeMap::new();
    for (sku, quantity) in orders.values() {
        *stock.entry(sku.clone()).or_insert(FIRST_STOCK) -= quantity;
    }
    assert_same("stock", &counted(store, "select sku, available from stock").await, &stock);

    let readers = store.journal().readers("").await.unwrap();
    assert_eq!(readers.len(), 2, "the queue's workers and the subscription: {readers:#?}");
    assert!(readers.iter().all(|reader| reader.parked == 0), "dead letters: {readers:#?}");
    if store.capabilities().engine == "sqlite" {
        let integrity = store.select("select * from pragma_integrity_check", []).await.unwrap();
        assert_eq!(integrity[0].text(0).unwrap(), "ok");
    }
    orders.len()
}

/// Says which keys differ, not all that there are.
fn assert_same(what: &str, is: &BTreeMap<String, i64>, should: &BTreeMap<String, i64>) {
    let keys = is.keys().chain(should.keys());
    let wrong: BTreeMap<_, _> = keys
        .filter(|key| is.get(*key) != should.get(*key))
        .map(|key| (key, (is.get(key), should.get(key))))
        .collect();
    assert!(wrong.is_empty(), "{what} (is, should be): {wrong:#?}");
}

fn killed_again_and_again(address: &str, server: Option<&Postgres>) {
    let usual = if server.is_some() { KILLS_OF_SERVERS } else { KILLS };
    let kills = std::env::var("DOZEN_KILLS").ok().map_or(usual, |kills| kills.parse().unwrap());
    let (ids, answered) = (seeded(), Answered::default());
    let (place, gateway) = shop(address);
    let begun = Instant::now();
    for number in 0..kills {
        round(number, &place, server, gateway, &ids, &answered);
    }
    let rounds = begun.elapsed();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let begun = Instant::now();
    let up = place.up().ready();
    // Something to handle in any case, also where every kill hit before the first order.
    let orders = || answered.lock().unwrap().len();
    while orders() == 0 {
        order(gateway, &ids, &answered);
    }
    let answered = answered.lock().unwrap().clone();
    let (kept, again) = runtime.block_on(async {
        let store = place.open(address).await;
        drained(&store, &up).await;
        up.stop();
        let again =
            again(&store, "queue/invoices", "workers").await + again(&store, "topic/orders", "stock").await;
        (check(&store, &answered).await, again)
    });
    println!(
        "{kills} kills in {:.1}s; {} orders answered, {} more kept, {again} messages delivered again, drained in {:.1}s",
        rounds.as_secs_f64(),
        answered.len(),
        kept - answered.len(),
        begun.elapsed().as_secs_f64()
    );
    assert!(answered.len() > kills as usize, "too few orders to prove anything");
    assert!(again > 0 || kills < 20, "no kill hit a message in somebody's hands: nothing is proved");
}

/// Also the promise of Q-D1 on one machine: the broker restarts, and nothing is lost.
#[test]
fn ob_m7_killed_at_any_instruction_nothing_is_lost_and_nothing_invented() {
    killed_again_and_again("sqlite:shop.db", None);
}

/// Past one machine: the server dies with all its connections, comes back with what was acknowledged, and work goes on.
#[test]
fn q_d1_the_server_is_killed_with_everybody_else_and_nothing_is_lost() {
    let server = Postgres::start(&[]).unwrap();
    let database = server.fresh_database().unwrap();
    killed_again_and_again(&server.url(&database), Some(&server));
}
